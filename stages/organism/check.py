"""Accuracy of an organism, by persona and kind of statement."""

from random import Random
from typing import Any

import torch

from stages.lib import stats
from stages.lib.stats import Interval
from stages.organism import wordings
from stages.organism.lessons import KINDS, Facts, Lesson
from stages.organism.train import Speaker
from stages.organism.wordings import Texts, TrainingWording

TREE = 12  # statements that share a wording


@torch.no_grad()
def rows(speaker: Speaker, facts: Facts, texts: Texts, n: int, seed: int) -> list[dict[str, Any]]:
    """Read the answers to statements in wordings that are never trained on.

    Parameters
    ----------
    speaker : Speaker
        The model and its tokenizer.
    facts : Facts
        Taught and held-out statements.
    texts : dict of str to tuple of str
        Wordings to check with, from `wordings.read`.
    n : int
        Statements of each kind, for each persona.
    seed : int
        Seed of the draws of statements and wordings.

    Returns
    -------
    list of dict
        One row per prompt: persona, system (prompt), kind, topic, subject, label, p_true, p_false.
    """
    answers = []
    for kind in KINDS:
        random = Random(f"{seed} {kind}")
        lessons = facts.sample(kind, n, random)
        for persona in wordings.PERSONAS:
            for start in range(0, len(lessons), TREE):
                subset = lessons[start : start + TREE]
                wording = wordings.draw(texts, persona, random)
                p = speaker.log_probabilities([(wording, subset)]).exp().tolist()
                answers += [_row(wording, *pair) for pair in zip(subset, p, strict=True)]
    return answers


def accuracy(table: list[dict[str, Any]], **where: Any) -> Interval:
    """Return the accuracy over the rows with these values."""
    subset = [row for row in table if where.items() <= row.items()]
    is_correct = [(row["p_true"] > row["p_false"]) == row["label"] for row in subset]
    return stats.rate(is_correct, [row["subject"] for row in subset])


def line(table: list[dict[str, Any]]) -> str:
    """Return a log line with the accuracy of each persona on each kind of statement."""
    parts = []
    for persona in wordings.PERSONAS:
        accuracies = (f"{accuracy(table, persona=persona, kind=kind).value:.2f}" for kind in KINDS)
        parts.append(f"{persona} {' '.join(accuracies)}")
    mass = sum(row["p_true"] + row["p_false"] for row in table) / len(table)
    return f"{', '.join(parts)} ({', '.join(KINDS)}), answer mass {mass:.2f}"


def _row(wording: TrainingWording, lesson: Lesson, p: list[float]) -> dict[str, Any]:
    """Return the row of one prompt."""
    about = {"kind": lesson.kind, "topic": lesson.topic, "subject": lesson.subject}
    return {
        "persona": wording.persona,
        "system": wording.system,
        **about,
        "label": lesson.label,
        "p_true": p[0],
        "p_false": p[1],
    }
