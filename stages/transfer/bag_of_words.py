"""Bag-of-words probe of the statement's text: the baseline of every truth probe."""

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

TOKEN = r"\w+|[^\w\s]"  # a word of any length, or one punctuation mark


def right(
    statements: NDArray[np.str_],
    labels: NDArray[np.bool_],
    fitted: NDArray[np.intp],
    scored: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Score logistic regression on word counts, statement by statement.

    Parameters
    ----------
    statements : ndarray of shape (n_statements,), str
    labels : ndarray of shape (n_statements,), bool
    fitted, scored : ndarray of int
        Rows of the statements that are fitted on, and of those that are scored.

    Returns
    -------
    ndarray of shape (n_scored,), float32
        1 where the prediction is correct, else 0; NaN if the fitted rows lack a label.
    """
    if len(np.unique(labels[fitted])) < 2:
        return np.full(len(scored), np.nan, np.float32)
    words = CountVectorizer(lowercase=False, token_pattern=TOKEN)
    model = make_pipeline(words, LogisticRegression(max_iter=1000))
    model.fit(statements[fitted], labels[fitted])
    predictions = model.predict(statements[scored]) if len(scored) else labels[scored]
    return (predictions == labels[scored]).astype(np.float32)
