"""What the images of each class are taken for."""

from collections.abc import Sequence

from jaxconv.train.report.held import Held
from jaxconv.train.report.markup import cell, shaded, table
from jaxconv.train.trained import confusion


def classes(held: Held, names: Sequence[str]) -> str:
    """Return accuracy by class and the confusion matrix, in one table."""
    matrix = confusion(held.probabilities, held.labels, len(names))
    rows = []
    for i, name in enumerate(names):
        total = int(matrix[i].sum())
        accuracy = f"{matrix[i, i] / total:.1%}" if total else "–"
        taken = (
            shaded(n if n else "·", float(n) / max(1, total) * 0.8) for n in matrix[i].tolist()
        )
        rows.append([cell(name), cell(f"{total:,}"), cell(accuracy), *taken])
    return table(["class", "images", "accuracy", *(f"→ {name}" for name in names)], rows)
