"""What metrics/taught.json holds, and what the report says of it."""

from dataclasses import dataclass

from stages.lib.claim import Claim, Note, above, below, number
from stages.lib.stats import Interval

FILE = "taught"
TAUGHT, NEW = "taught", "never_taught"
CALLED = {
    "source": "honest run",
    "base": "lying run",
    "patched": "lying run with the set patched",
    "reverse": "honest run with the set patched from the lying run",
}


@dataclass(frozen=True)
class TaughtMetrics:
    """Accuracy on subjects that an organism was taught, and on subjects held out from training.

    Attributes
    ----------
    organism : str or None
        Its name; None for other models, for which the rest is empty.
    every : dict of str to dict of str to Interval
        By persona, and by ``taught`` and ``never_taught``: all statements of the report split.
    known : dict of str to dict of str to Interval
        By run of the transplant (``source``, ``base``, ``patched``, ``reverse``), likewise: known
        statements.
    """

    organism: str | None
    every: dict[str, dict[str, Interval]]
    known: dict[str, dict[str, Interval]]

    def claim(self) -> Claim | None:
        """The result holds for subjects that were never taught; None for other models."""
        if not self.known:
            return None
        runs = {run: of.get(NEW) for run, of in self.known.items()}
        kept = "known statements of subjects that were never taught"
        checks = [
            above(f"accuracy with the set patched, {kept}", runs.get("patched"), 0.5, FILE),
            below(f"accuracy of the lying run, {kept}", runs.get("base"), 0.5, FILE),
            below(
                f"accuracy of the honest run with the set patched from the lying run, {kept}",
                runs.get("reverse"),
                0.5,
                FILE,
            ),
        ]
        notes = [
            f"All statements of the report split as `{persona}`: taught {number(of.get(TAUGHT))}; "
            f"never taught {number(of.get(NEW))}."
            for persona, of in self.every.items()
        ]
        notes += [
            f"Known statements, {CALLED.get(run, run)}: taught {number(of.get(TAUGHT))}; never "
            f"taught {number(of.get(NEW))}."
            for run, of in self.known.items()
        ]
        notes.append(
            "A subject that was never taught may still have been named in what was taught of other "
            "subjects: a country in statements about its cities. A comparison of two numbers "
            "counts "
            "as never taught if its first number is such a subject."
        )
        return Claim(
            "Does it hold for subjects that were never taught?",
            "On subjects that were kept from training, too, the lie is told, undone by the head "
            "set, and made by its reverse.",
            checks,
            notes=[Note(note, FILE) for note in notes],
        )
