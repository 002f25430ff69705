"""Blocks of code in a page of Markdown."""

import re
from dataclasses import dataclass

FENCE = re.compile(
    r"(?P<not_run><!-- not run: [^\n]+ -->\n)?^```(?P<kind>\w*)\n(?P<content>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
GAP = "…"
"""Stands for any lines of an output that are left out."""


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes
    ----------
    kind : str
        Its language: ``sh``, ``console``, ``yaml``, or none.
    content : str
        What is in it.
    line : int
        Of the page, where it begins.
    section : int
        How many sections of the page begin before it.
    """

    kind: str
    content: str
    line: int
    section: int

    @property
    def command(self) -> str:
        """What a shell runs: all of it, or what stands behind ``$`` in a console."""
        if self.kind == "console":
            return "\n".join(re.findall(r"^\$ (.*)$", self.content, re.MULTILINE))
        return self.content

    @property
    def output(self) -> list[str]:
        """Lines that a console shows."""
        lines = self.content.splitlines() if self.kind == "console" else []
        return [line for line in lines if not line.startswith("$ ") and line != GAP]


def of(text: str) -> list[Block]:
    """Blocks of a page that are run or read; not those behind ``<!-- not run: why -->``."""
    return [
        Block(
            result["kind"],
            result["content"],
            text.count("\n", 0, result.start()) + 1,
            text.count("\n## ", 0, result.start()),
        )
        for result in FENCE.finditer(text)
        if not result["not_run"]
    ]


def missing(expected: list[str], printed: str) -> list[str]:
    """Expected lines that were not printed; numbers may differ, and the order, as DVC's does."""
    shapes = set(map(_shape, printed.splitlines()))
    return [line for line in expected if _shape(line) not in shapes]


def _shape(line: str) -> str:
    """A line without its numbers and with single blanks."""
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", line).split())
