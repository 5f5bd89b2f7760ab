"""The bytes that each op's rule keeps for its backward pass, compared with autodiff.

    python -m jaxconv.check.residuals [OP ...]

prints the table of docs/residuals.md: every op of the catalogue in float32, on its large call.
"""

import sys
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.catalogue import CATALOGUE, Record, Sample
from jaxconv.check.costs import residual_bytes

_NARROW = {np.dtype("float64"): np.dtype("float32"), np.dtype("int64"): np.dtype("int32")}


def compared(record: Record) -> tuple[int, int]:
    """Return the residual bytes of the rule and of autodiff for the large call in float32."""
    large = record.large()

    def narrow(values: Any) -> dict[str, Any]:
        return {name: jnp.asarray(a, _NARROW.get(a.dtype)) for name, a in values.items()}

    with jax.enable_x64(False):  # the default of JAX, so that constants are float32 too
        sample = Sample(narrow(large.arrays), narrow(large.fixed), large.options)
        arrays = tuple(sample.arrays.values())
        return (
            residual_bytes(sample.bind(record.op), arrays),
            residual_bytes(sample.bind(record.reference), arrays),
        )


def row(name: str, ours: int, autodiff: int) -> str:
    """Return an op's line in the table: the bytes of both, and how many times fewer ours are."""
    ratio = round(autodiff / ours, 1) if ours else 0.0
    fewer = "none" if autodiff and not ours else f"{ratio} × fewer" if ratio > 1 else ""
    return f"| `{name}` | {ours:,} | {autodiff:,} | {fewer} |"


def table(rows: Iterable[str]) -> str:
    """Return the comparison as a table in Markdown."""
    return "\n".join(["| op | rule | autodiff | |", "|---|---:|---:|---|", *rows])


if __name__ == "__main__":
    asked = sys.argv[1:] or CATALOGUE
    print(table(row(name, *compared(CATALOGUE[name])) for name in asked))
