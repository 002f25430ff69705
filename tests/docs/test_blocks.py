"""What is taken from a page, and what is not."""

from tests.docs import blocks

PAGE = """
## One

```sh
make x
```

<!-- not run: takes hours -->
```sh
make y
```

## Two

```console
$ say 1
…
one 1
three  3
$ say 2
```
"""


def test_blocks_are_found_but_for_those_that_say_why_not():
    first, second = blocks.of(PAGE)
    assert (first.kind, first.command, first.line, first.output) == ("sh", "make x\n", 4, [])
    assert (second.command, second.output) == ("say 1\nsay 2", ["one 1", "three  3"])
    assert (first.section, second.section) == (1, 2)


def test_output_may_have_other_numbers_and_more_lines():
    assert blocks.missing(["one 1", "three  3"], "three 9.5\none 7\ntwo\n") == []
    assert blocks.missing(["four", "one 1"], "one 2") == ["four"]
