"""What the images of each class are taken for."""

from collections.abc import Sequence

import numpy as np

from jaxconv.train.report.held import Held
from jaxconv.train.report.markup import cell, name_cell, shaded, table
from jaxconv.train.trained import MOST_CLASSES, confusion

PAIRS = 20
"""As many pairs of classes are shown if there are too many for the confusion matrix."""


def classes(held: Held, names: Sequence[str]) -> str:
    """Return accuracy by class and the confusion matrix; of many classes, only the worst pairs."""
    matrix = confusion(held.probabilities, held.labels, len(names))
    if len(names) > MOST_CLASSES:
        return _many(matrix, names)
    rows = []
    for name, row, own in zip(names, matrix, np.diag(matrix), strict=True):
        total = max(1, int(row.sum()))
        taken = (shaded(f"{n:,}" if n else "·", 0.8 * n / total) for n in row.tolist())
        rows.append([*_accuracy(name, row, int(own)), *taken])
    return table(["class", "images", "accuracy", *(f"→\u00a0{name}" for name in names)], rows)


def _many(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Return accuracy by class, the lowest first, and the pairs that are confused most often."""
    right, total = np.diag(matrix), matrix.sum(axis=1)
    order = np.argsort(np.where(total, right / np.maximum(1, total), 2), kind="stable")
    rows = [_accuracy(names[i], matrix[i], int(right[i])) for i in order]
    wrong = matrix - np.diag(right)
    worst = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [
        [name_cell(names[i]), name_cell(names[j]), cell(f"{wrong[i, j]:,}")]
        for i, j in zip(*np.unravel_index(worst, wrong.shape), strict=True)
        if wrong[i, j]
    ]
    found = (
        "<p>The pairs that are confused most often:</p>"
        + table(["class", "taken for", "images"], pairs)
        if pairs
        else "<p>No image is taken for another class.</p>"
    )
    return (
        f"<p>The {len(names):,} classes, the lowest accuracy first:</p>"
        f'<div class="tall">{table(["class", "images", "accuracy"], rows)}</div>{found}'
    )


def _accuracy(name: str, row: np.ndarray, right: int) -> list[str]:
    """Return the cells with the name of a class, the number of its images and its accuracy."""
    total = int(row.sum())
    return [name_cell(name), cell(f"{total:,}"), cell(f"{right / total:.1%}" if total else "–")]
