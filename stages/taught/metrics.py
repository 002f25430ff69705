"""What metrics/taught.json holds, and what the report says of it."""

from dataclasses import dataclass

from stages.lib.claim import Claim, Note, Table, above, below, number
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
        Accuracy on all statements of the report split, by persona, then by ``taught`` and
        ``never_taught``.
    known : dict of str to dict of str to Interval
        Accuracy on known statements, by run of stage `transplant` (``source``, ``base``,
        ``patched``, ``reverse``), then by ``taught`` and ``never_taught``.
    """

    organism: str | None
    every: dict[str, dict[str, Interval]]
    known: dict[str, dict[str, Interval]]

    def claim(self) -> Claim | None:
        """Claim that the result holds for subjects never taught; None for other models."""
        if not self.known:
            return None
        runs = {run: rates.get(NEW) for run, rates in self.known.items()}
        population = "known statements of subjects that were never taught"
        checks = [
            above(f"accuracy with the set patched, {population}", runs.get("patched"), 0.5, FILE),
            below(f"accuracy of the lying run, {population}", runs.get("base"), 0.5, FILE),
            below(
                f"accuracy of the honest run with the set patched from the lying run, {population}",
                runs.get("reverse"),
                0.5,
                FILE,
            ),
        ]
        note = (
            "A subject that was never taught may still be named in statements that were taught "
            "about other subjects, as a country is in statements about its cities. A comparison "
            "of two numbers counts as never taught if its first number is such a subject."
        )
        rows = {f"all, as `{persona}`": rates for persona, rates in self.every.items()}
        rows |= {f"known, {CALLED.get(run, run)}": rates for run, rates in self.known.items()}
        return Claim(
            "Do the lie and its undoing hold on subjects that were never taught?",
            "On subjects that were held out from training, too, the model lies, the head set "
            "undoes the lie, and the reverse patch makes the honest run lie.",
            checks,
            notes=[Note(note, FILE)],
            tables=[
                Table(
                    "Accuracy on the report split, by whether the subject was taught",
                    ("statements and run", "taught", "never taught"),
                    [
                        (name, number(rates.get(TAUGHT)), number(rates.get(NEW)))
                        for name, rates in rows.items()
                    ],
                    FILE,
                )
            ],
        )
