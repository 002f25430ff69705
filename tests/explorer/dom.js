// As much of a browser's document as page.js uses, for Node: no layout, no style, no drawing.
"use strict";

class Listening {
  listeners = {};
  addEventListener(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }
  dispatch(name, event = {}) {
    for (const listener of this.listeners[name] ?? []) listener(event);
  }
}

class Element extends Listening {
  children = [];
  dataset = {};
  attributes = {};
  style = {};
  classes = new Set();
  own = "";
  chosen = null;
  constructor(tag) {
    super();
    this.tag = tag;
    this.classList = { add: (name) => this.classes.add(name) };
  }
  set className(names) {
    this.classes = new Set(names.split(" "));
  }
  get textContent() {
    return this.own + this.children.map((child) => child.textContent).join("");
  }
  set textContent(text) {
    this.children = [];
    this.own = String(text);
  }
  // As a browser: an option that is not there leaves nothing chosen, and the first one is chosen.
  get value() {
    if (this.tag !== "select") return this.chosen ?? "";
    return this.chosen ?? this.children[0]?.value ?? "";
  }
  set value(value) {
    const known = this.tag !== "select" || this.children.some((option) => option.value === value);
    this.chosen = known ? value : "";
  }
  append(...parts) {
    for (const part of parts) {
      if (part instanceof Element && part.tag === "#fragment") this.append(...part.children);
      else this.children.push(part instanceof Element ? part : { textContent: String(part) });
    }
  }
  replaceChildren(...parts) {
    this.children = [];
    this.own = "";
    this.chosen = null;
    this.append(...parts);
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  querySelectorAll(tag) {
    return this.children.flatMap((child) =>
      child instanceof Element ? [...(child.tag === tag ? [child] : []), ...child.querySelectorAll(tag)] : []);
  }
}

// Elements by id, of the tags of the page; `drawn` has the latest plot of each place.
function open(html, hash) {
  const elements = {};
  for (const [, tag, id] of html.matchAll(/<([a-z0-9]+)[^>]*? id="(\w+)"/g)) elements[id] = new Element(tag);
  const data = html.match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1];
  elements.data.textContent = data;
  const drawn = {}, clicks = {};
  const window = new Listening();
  const scheme = new Listening();
  let address = hash;
  const location = {
    get hash() { return address; },
    set hash(text) {
      address = text.startsWith("#") ? text : `#${text}`;
      setTimeout(() => window.dispatch("hashchange"), 0);
    },
  };
  window.matchMedia = () => scheme;
  window.vegaEmbed = async (place, spec) => {
    const id = Object.keys(elements).find((key) => elements[key] === place);
    drawn[id] = spec;
    return { finalize: () => delete drawn[id],
      view: { addEventListener: (_, listener) => { clicks[id] = (datum) => listener({}, { datum }); } } };
  };
  const document = {
    documentElement: new Element("html"),
    getElementById: (id) => elements[id] ?? null,
    createElement: (tag) => new Element(tag),
    createDocumentFragment: () => new Element("#fragment"),
  };
  return { elements, drawn, clicks, location, window, scheme, document,
    getComputedStyle: () => ({ getPropertyValue: (name) => html.match(`${name}: (#[0-9a-f]{6})`)[1] }) };
}

module.exports = { open };
