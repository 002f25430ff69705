"""The pages that people read."""

from tests.pipeline.closure import ROOT

FOLDERS = ("*.md", "data/*/README.md", "metrics/*.md", "stages/*.md", "tests/*/README.md")
WRITTEN_BY_CODE = {"stages/REFERENCE.md"}  # as are model cards, and the report in plots/


def names() -> set[str]:
    """Files of the pages that are written by hand."""
    pages = (page for folder in FOLDERS for page in ROOT.glob(folder))
    return {str(page.relative_to(ROOT)) for page in pages} - WRITTEN_BY_CODE


def text(name: str) -> str:
    """What stands in a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")
