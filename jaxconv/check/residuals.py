"""How many bytes a rule keeps for its backward pass, beside autodiff.

    python -m jaxconv.check.residuals

prints the table of docs/residuals.md: every op of the catalogue, float32, on its large call.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.catalogue import CATALOGUE, Record, Sample
from jaxconv.check.costs import residual_bytes

_NARROW = {np.dtype("float64"): np.dtype("float32"), np.dtype("int64"): np.dtype("int32")}


def compared(record: Record) -> tuple[int, int]:
    """Residual bytes of the rule and of autodiff, on the record's large call in float32."""
    large = record.large()

    def narrow(values: Any) -> dict[str, Any]:
        return {name: jnp.asarray(a, _NARROW.get(a.dtype)) for name, a in values.items()}

    with jax.enable_x64(False):  # as it is unless somebody asks for more: constants are narrow too
        sample = Sample(narrow(large.arrays), narrow(large.fixed), large.options)
        arrays = tuple(sample.arrays.values())
        return (
            residual_bytes(sample.bind(record.op), arrays),
            residual_bytes(sample.bind(record.twin), arrays),
        )


def row(name: str, ours: int, autodiff: int) -> str:
    """An op's line in the table: the bytes of both, and how many times fewer ours are."""
    fewer = "" if ours >= autodiff else "none" if not ours else f"{autodiff / ours:.1f} × fewer"
    return f"| `{name}` | {ours:,} | {autodiff:,} | {fewer} |"


def table(rows: Iterable[str]) -> str:
    """The comparison as a table in Markdown."""
    return "\n".join(["| op | rule | autodiff | |", "|---|---:|---:|---|", *rows])


if __name__ == "__main__":
    print(table(row(name, *compared(record)) for name, record in CATALOGUE.items()))
