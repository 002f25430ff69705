"use strict";
// All texts of the data reach the page as textContent, or as data of a plot.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const { source, base } = data;
const RUNS = { source, base, patched: `${base}, patched` };
const hasMap = (one) => one.trace !== null;
const statements = [...data.statements].sort((a, b) => hasMap(b) - hasMap(a));
const byId = new Map(statements.map((one) => [one.id, one]));
const state = { id: null, head: null };

const at = (id) => document.getElementById(id);
const name = (head) => `${head[0]}.${head[1]}`;
const isTrue = ([pTrue, pFalse]) => pTrue > pFalse;
const isRight = (one, p) => isTrue(p) === one.label;
const heads = [];
for (let layer = 0; layer < data.n_layers; layer++)
  for (let head = 0; head < data.n_heads; head++) heads.push([layer, head]);
const inSet = new Set(data.set.map(name));
const attending = data.heads.map(name); // heads whose attention was read

function make(tag, text = "", properties = {}) {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  return Object.assign(element, properties);
}

function options(id, pairs) {
  at(id).replaceChildren(...pairs.map(([value, text]) => make("option", text, { value })));
}

function number(value) {
  return value === null ? "–" : value.toFixed(2).replace("-", "−");
}

// ---- the list ---------------------------------------------------------------------------------

const FILTERS = {
  topic: (one, value) => one.topic === value,
  label: (one, value) => String(one.label) === value,
  known: (one, value) => String(one.known) === value,
  lied: (one, value) => String(!isRight(one, one.runs[1])) === value,
  patched: (one, value) => String(isRight(one, one.runs[2])) === value,
  split: (one, value) => inSplit(one) && (value !== "map" || hasMap(one)),
};
const inSplit = (one) => one.split === (at("split").value === "selection" ? "selection" : "report");

function fillFilters() {
  const topics = [...new Set(statements.map((one) => one.topic))].sort();
  options("topic", [["", "every topic"], ...topics.map((topic) => [topic, topic])]);
  options("label", [["", "true and false"], ["true", "true ones"], ["false", "false ones"]]);
  options("known", [["", "known or not"], ["true", "known"], ["false", "not known"]]);
  options("lied", [["", `any ${base}`], ["true", `${base} wrong`], ["false", `${base} right`]]);
  options("patched", [["", "any patched"], ["true", "patched right"], ["false", "patched wrong"]]);
  options("split", [["report", "report split"], ["map", "report, with map"], ["selection", "selection split"]]);
}

function chosen() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.keys(FILTERS).filter((id) => at(id).value !== "");
  return statements.filter((one) => {
    const text = one.text.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      wanted.every((id) => FILTERS[id](one, at(id).value))
    );
  });
}

function drawList() {
  const found = chosen();
  at("count").textContent = `${found.length} of ${statements.filter(inSplit).length} statements`;
  at("list").replaceChildren(
    ...found.map((one) => {
      const button = make("button", one.text, { type: "button" });
      if (hasMap(one)) button.append(" ", make("span", "map", { className: "mark" }));
      button.dataset.id = one.id;
      button.addEventListener("click", () => go(one.id, state.head));
      const item = make("li");
      item.append(button);
      return item;
    }),
  );
  markCurrent();
}

function markCurrent() {
  for (const button of at("list").querySelectorAll("button"))
    button.setAttribute("aria-current", String(button.dataset.id === state.id));
}

// ---- plots ------------------------------------------------------------------------------------

const last = {}; // what is being drawn in each place: one plot after the other

function plot(id, spec, onClick) {
  const place = at(id);
  const turn = (last[id] || Promise.resolve()).then(async () => {
    if (last[id] !== turn) return; // a newer one waits
    if (place.finalize) place.finalize();
    place.finalize = null;
    place.replaceChildren();
    if (!spec) return;
    const result = await window.vegaEmbed(place, { ...spec, config: config() }, {
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    place.finalize = () => result.finalize();
    if (onClick)
      result.view.addEventListener("click", (_, item) => item && item.datum && onClick(item.datum));
  });
  last[id] = turn;
  turn.catch((error) => {
    place.replaceChildren(`not drawn: ${error.message}`);
    if (last[id] === turn) delete last[id]; // so that the next plot is drawn
  });
}

function colour(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

// The figures' colours, by the persona's place; they begin again after the sixth.
function personaColour(persona) {
  return colour(`--persona-${Math.max(0, data.personas.indexOf(persona)) % 6}`);
}

function config() {
  const text = colour("--text"), soft = colour("--soft"), line = colour("--line");
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: line },
    axis: { labelColor: soft, titleColor: text, gridColor: line, domainColor: line,
      tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12, titleFontSize: 12,
      titleFontWeight: "normal", symbolFillColor: soft },
    title: { color: text, fontSize: 13, anchor: "start" },
  };
}

function toward(values) {
  const most = Math.max(0.01, ...values.map((value) => Math.abs(value ?? 0)));
  return { domain: [-most, 0, most], type: "linear", interpolate: "rgb",
    range: [colour("--below"), colour("--zero"), colour("--above")] };
}

function lensSpec(one) {
  const values = Object.values(RUNS).flatMap((run, i) =>
    one.lens[i].map((odds, index) => ({ run, layer: index - 1, odds })));
  return {
    width: "container", height: 240, data: { values },
    layer: [
      { mark: { type: "rule", color: colour("--soft"), strokeDash: [4, 3] },
        encoding: { y: { datum: 0 } } },
      { mark: { type: "line", point: true, strokeWidth: 2 },
        encoding: {
          x: { field: "layer", type: "quantitative", title: "after layer (-1: the embeddings)",
            axis: { tickMinStep: 1, grid: false }, scale: { nice: false } },
          y: { field: "odds", type: "quantitative", title: "log-odds of the right answer (nats)" },
          color: { field: "run", type: "nominal", title: null, legend: { orient: "top" },
            scale: { domain: Object.values(RUNS),
              range: [source, base].map(personaColour).concat(colour("--patched")) } },
          shape: { field: "run", type: "nominal", title: null,
            scale: { domain: Object.values(RUNS), range: ["circle", "cross", "diamond"] } },
          tooltip: [{ field: "run" }, { field: "layer" }, { field: "odds", format: ".2f" }],
        } },
    ],
  };
}

function traceSpec(cells, title) {
  const values = cells.map(([layer, block, effect]) =>
    ({ layer, block: data.traced_blocks[block], effect }));
  return {
    title, width: "container", height: { step: 12 }, data: { values }, mark: "rect",
    encoding: {
      x: { field: "block", type: "nominal", sort: data.traced_blocks, title: null,
        axis: { labelAngle: -40 } },
      y: { field: "layer", type: "ordinal", sort: "descending", axis: { labelOverlap: true } },
      color: { field: "effect", type: "quantitative", title: "change of log-odds (nats)",
        scale: toward(values.map((cell) => cell.effect)),
        legend: { orient: "bottom", gradientLength: 160 } },
      tooltip: [{ field: "layer" }, { field: "block" }, { field: "effect", format: "+.2f" }],
    },
  };
}

function effectsSpec(one) {
  const values = heads.map(([layer, head], i) => ({
    layer, head, effect: one.effects[i], set: inSet.has(name([layer, head])),
    chosen: name([layer, head]) === state.head,
  }));
  const x = { field: "head", type: "ordinal", axis: { labelAngle: 0, orient: "top" } };
  const y = { field: "layer", type: "ordinal", sort: "descending", axis: { labelOverlap: true } };
  return {
    width: "container", height: { step: 13 }, data: { values },
    layer: [
      { mark: { type: "rect", cursor: "pointer" },
        encoding: { x, y,
          color: { field: "effect", type: "quantitative", title: "change of log-odds (nats)",
            scale: toward(one.effects), legend: { orient: "bottom", gradientLength: 160 } },
          tooltip: [{ field: "layer" }, { field: "head" }, { field: "effect", format: "+.3f" },
            { field: "set", title: "in the head set" }] } },
      { transform: [{ filter: "datum.set || datum.chosen" }],
        mark: { type: "rect", filled: false, strokeWidth: 1.5, cursor: "pointer" },
        encoding: { x, y, stroke: { condition: { test: "datum.chosen", value: colour("--chosen") },
          value: colour("--text") }, strokeWidth: { condition: { test: "datum.chosen", value: 4 },
          value: 1.5 } } },
    ],
  };
}

// Effects are measured on the selection split and estimated on the report split: no plot mixes them.
function sameSplit() {
  const { split } = byId.get(state.id);
  return statements.filter((one) => one.split === split);
}

function headSpec(head) {
  const place = heads.findIndex((other) => name(other) === head);
  const values = sameSplit().map((one) => ({
    id: one.id, statement: one.text, effect: one.effects[place], topic: one.topic,
    label: one.label ? "true" : "false", chosen: one.id === state.id,
  }));
  const x = { field: "effect", type: "quantitative", title: "change of log-odds (nats)" };
  const y = { field: "topic", type: "nominal", title: null };
  return {
    width: "container", height: { step: 20 }, data: { values },
    layer: [
      { mark: { type: "rule", color: colour("--soft"), strokeDash: [4, 3] }, encoding: { x: { datum: 0 } } },
      { mark: { type: "point", filled: true, opacity: 0.6, size: 40, cursor: "pointer" },
        encoding: { x, y,
          color: { field: "label", type: "nominal", title: "statement",
            legend: { orient: "top" },
            scale: { domain: ["true", "false"], range: [colour("--text"), colour("--soft")] } },
          shape: { field: "label", type: "nominal", title: "statement",
            scale: { domain: ["true", "false"], range: ["circle", "triangle-down"] } },
          tooltip: [{ field: "statement" }, { field: "effect", format: "+.3f" }] } },
      { transform: [{ filter: "datum.chosen" }],
        mark: { type: "point", size: 160, strokeWidth: 2.5, color: colour("--text") },
        encoding: { x, y } },
    ],
  };
}

// ---- one statement ----------------------------------------------------------------------------

function drawAnswers(one) {
  const rows = data.personas.map((persona) => [persona, one.prompts[persona].p]);
  rows.push([RUNS.patched, one.runs[2]]);
  const head = make("tr");
  head.append(...["run", "P(true)", "P(false)"].map((text) => make("th", text)),
    make("th", "answer", { className: "said" }));
  at("answers").replaceChildren(head, ...rows.map(([run, p]) => {
    const row = make("tr"), right = isRight(one, p);
    const answer = `${isTrue(p)}, ${right ? "right" : "wrong"}`;
    row.append(make("td", run), make("td", p[0].toFixed(3)), make("td", p[1].toFixed(3)),
      make("td", answer, { className: `said ${right ? "right" : "wrong"}` }));
    return row;
  }));
}

function roleOf(persona) {
  return { [source]: "source", [base]: "base" }[persona];
}

// Why a head's attention was read: the head is in the set, or its layer matters at some blocks.
function whyRead(head) {
  if (inSet.has(head)) return ["set"];
  const layer = Number(head.split(".")[0]);
  const cells = statements.flatMap((one) => one.trace?.into_base_heads ?? []);
  return [...new Set(cells.filter((cell) => cell[0] === layer).map((cell) => data.traced_blocks[cell[2]]))];
}

// Tokens that every prompt of a role has at its head, of the block between system prompt and question.
function writing(one, persona) {
  const { blocks, tokens } = one.prompts[persona];
  const shared = data.prefix[roleOf(persona)]?.[0]?.length ?? 0; // another persona has no part
  const turn = String(data.blocks.indexOf("user-turn header"));
  const places = [];
  for (let i = 0; blocks && i < Math.min(shared, tokens.length); i++)
    if (blocks[i] === turn) places.push(i);
  return places;
}

function fillAttention(one) {
  const before = at("attention_from").value;
  const shown = (token) => JSON.stringify(data.vocabulary[token]).slice(1, -1);
  const turn = writing(one, base).map((place, i) =>
    [String(i), `user-turn header ${i + 1}: ${shown(one.prompts[base].tokens[place])}`]);
  options("attention_from", [["last", "the last token"], ...turn]);
  at("attention_from").value = [...turn.map(([value]) => value)].includes(before) ? before : "last";
}

function drawPrompts(one) {
  const head = attending.indexOf(at("attention_head").value);
  const from = at("attention_from").value;
  at("prompts").replaceChildren(...data.personas.map((persona) => {
    const { tokens, blocks } = one.prompts[persona];
    const weights = new Map();
    const asks = from === "last" ? tokens.length - 1 : writing(one, persona)[Number(from)];
    const role = roleOf(persona);
    if (role && head >= 0 && asks !== undefined && !data.reasons.attention) {
      const flat = from === "last" ? one.attention[role][head] : data.prefix[role][head][asks];
      for (let i = 0; i < flat.length; i += 2) weights.set(flat[i], flat[i + 1]);
    }
    const strip = make("div", "", { className: "tokens" });
    tokens.forEach((token, i) => {
      const block = blocks ? blocks[i] : null;
      if (block !== null && (i === 0 || blocks[i - 1] !== block))
        strip.append(make("span", data.blocks[block], { className: "block" }));
      strip.append(tokenSpan(data.vocabulary[token], weights.get(i) ?? 0, block, i,
        role !== undefined && i === asks));
    });
    const whole = make("div", "", { className: "prompt" });
    const [pTrue, pFalse] = one.prompts[persona].p;
    const title = `${persona}: ${tokens.length} tokens, answer ${isTrue([pTrue, pFalse])}`;
    whole.append(make("h4", title), strip);
    return whole;
  }));
}

function tokenSpan(text, percent, block, place, asks) {
  const shown = text.replace(/\n/g, "⏎") || "∅";
  const span = make("span", shown, { className: "token" });
  if (block !== null && Number(block) % 2) span.classList.add("odd");
  if (asks) span.classList.add("asks");
  const where = block === null ? "" : `, ${data.blocks[block]}`;
  span.title = `token ${place}${where}${percent ? `, attention ${percent} %` : ""}`;
  if (percent) span.style.background = `rgba(var(--shade), ${0.06 + percent / 200})`;
  if (percent >= 5) span.append(make("b", String(percent)));
  if (text.includes("\n")) {
    const both = document.createDocumentFragment();
    both.append(span, make("br"));
    return both;
  }
  return span;
}

function drawTrace(one) {
  const maps = one.trace;
  at("trace_note").textContent = maps
    ? "What z of all heads of one layer does to the log-odds of the right answer, patched at the tokens of one block. " +
      "The user-turn header and the assistant-turn header are what the chat template writes before the question " +
      "and after it. The last token is in no block: it is a column of its own." +
      (maps.into_source ? "" : ` Patches into the ${source} run are of fewer statements, and not of this one.`)
    : "This statement has no map: layers × blocks are patched for some statements. The filter “report, with map” lists them.";
  plot("into_base", maps && maps.into_base && traceSpec(maps.into_base, `${source} z into the ${base} run`));
  plot("into_source", maps && maps.into_source && traceSpec(maps.into_source, `${base} z into the ${source} run`));
}

function drawHead(one) {
  const [layer, head] = state.head.split(".").map(Number);
  at("head").value = state.head;
  at("head_note").textContent =
    `Head ${state.head}${inSet.has(state.head) ? ", in the head set" : ""}: one point per statement of the ${one.split} split. ` +
    "Click a point to go to its statement.";
  plot("head_plot", headSpec(state.head), (datum) => datum.id && go(datum.id, state.head));
  const cells = ["into_base", "into_source"].flatMap((direction) =>
    ((one.trace && one.trace[`${direction}_heads`]) || [])
      .filter((cell) => cell[0] === layer && cell[1] === head)
      .map((cell) => [direction, data.traced_blocks[cell[2]], cell[3]]));
  const title = make("tr");
  title.append(...["this head patched at", "into", "log-odds"].map((text) => make("th", text)));
  at("head_blocks").replaceChildren(...(cells.length ? [title] : []), ...cells.map(([to, block, effect]) => {
    const row = make("tr");
    const run = to === "into_base" ? base : source;
    row.append(make("td", block), make("td", run), make("td", number(effect)));
    return row;
  }));
}

// Heads of the set whose estimate has the wrong sign, where both were measured.
function wrongSigns() {
  const wrong = data.set.filter((_, i) => data.set_effects[i][0] * data.set_effects[i][1] < 0).map(name);
  return wrong.length ? ` In the mean of the measured statements the sign is wrong for ${wrong.join(", ")} of the set.` : "";
}

// The head of the set with the largest mean effect; without a set the first head.
function mainHead() {
  const gains = data.set_effects.map(([, effect]) => effect ?? -Infinity);
  return name(data.set[gains.indexOf(Math.max(...gains))] ?? heads[0]);
}

function draw() {
  const one = byId.get(state.id);
  markCurrent();
  if (!one) return;
  at("statement").textContent = one.text;
  at("facts").textContent = [`label: ${one.label}`, one.topic, one.known ? "known" : "not known",
    `${one.split} split`].join(" · ");
  drawAnswers(one);
  const patched = data.set.length
    ? `Patched: z of the ${data.set.length} heads of the set, from the ${source} run, at the last ${data.positions} tokens.`
    : `There is no head set, so that the patched run is the ${base} run.`;
  at("lens_note").textContent = data.reasons.lens
    ? `Not measured: ${data.reasons.lens}`
    : "The log-odds of the right answer, read off the residual stream at the last token by the logit lens. " +
      `${patched} In early layers the lens leans to one of the two words, whatever the statement.`;
  plot("lens", !data.reasons.lens && lensSpec(one));
  at("attention_note").textContent = data.reasons.attention
    ? `Not measured: ${data.reasons.attention}`
    : attending.length
      ? `Shaded: per cent of the head's attention, in the runs of ${source} and ${base}. Outlined: the token that attends. ` +
        "Heads: those of the head set, and of each cell of layer × block that matters the heads that recover most alone."
      : "No attention was read: there is no head set, and no cell of layer × block matters.";
  fillAttention(one);
  drawPrompts(one);
  drawTrace(one);
  at("effects_note").textContent =
    `What z of one head from the ${source} run does to the ${base} run's log-odds of the right answer, at the last ` +
    `${data.positions} tokens: ${one.measured ? "measured, one run per head." : `estimated by gradient (attribution patching), which can be wrong in size and sign.${wrongSigns()}`} ` +
    "Framed: heads of the set. Click a head to see it over all statements.";
  plot("effects", effectsSpec(one), (datum) => datum.head !== undefined && go(state.id, name([datum.layer, datum.head])));
  drawHead(one);
}

// ---- where we are -----------------------------------------------------------------------------

function go(id, head) {
  const hash = `#${new URLSearchParams({ statement: id, head })}`;
  if (hash !== location.hash) location.hash = hash; // calls `arrive`
}

function arrive() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const id = asked.get("statement"), head = asked.get("head");
  const known = heads.some((other) => name(other) === head);
  const wrong = [];
  if (id !== null && !byId.has(id)) wrong.push(`statement ${id}`);
  if (head !== null && !known) wrong.push(`head ${head}`);
  at("missing").hidden = !wrong.length;
  at("missing").textContent = wrong.length ? `Not on this page: ${wrong.join(", ")}` : "";
  state.id = byId.has(id) ? id : (chosen()[0] ?? statements[0])?.id ?? null;
  const chosenHead = known ? head : mainHead();
  if (chosenHead !== state.head && attending.includes(chosenHead)) at("attention_head").value = chosenHead;
  state.head = chosenHead;
  draw();
}

fillFilters();
options("head", heads.map((head) => [name(head), name(head) + (inSet.has(name(head)) ? " (set)" : "")]));
options("attention_head", attending.map((head) => [head, [head, ...whyRead(head)].join(" · ")]));
at("search").addEventListener("input", drawList);
for (const id of Object.keys(FILTERS)) at(id).addEventListener("change", drawList);
at("head").addEventListener("change", () => go(state.id, at("head").value));
for (const id of ["attention_head", "attention_from"])
  at(id).addEventListener("change", () => drawPrompts(byId.get(state.id)));
window.addEventListener("hashchange", arrive);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
drawList();
arrive();
})();
