"""Gradients that are not finite where they should be."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register


@register("not_finite", scaled=False, takes_complex=True)
def not_finite(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is NaN or infinite at some elements, and right at all others."""
    leaf = evidence.leaf

    def bad(o: Observation) -> np.ndarray:
        return ~np.isfinite(o.got[leaf]) & np.isfinite(o.want[leaf])

    off = bad(evidence.first)
    if not off.any():
        return
    found = evidence.first.got[leaf][off]
    what = "NaN" if np.isnan(found).all() else "not finite" if np.isnan(found).any() else "infinite"
    yield Guess(
        f"d({evidence.name}) is {what} {_where(evidence, off)}, and right elsewhere: 0/0, 0·∞ or an"
        " overflow arises on the way, and a `where` behind it does not help",
        lambda o: np.ma.array(o.want[leaf], mask=bad(o)),
    )


def _where(evidence: Evidence, off: np.ndarray) -> str:
    """Return the elements in words: those where an argument or y has one value, or how many."""
    if off.all():
        return "everywhere"
    first = evidence.first
    for name, values in (*zip(evidence.names, first.arrays, strict=True), ("y", first.y[0])):
        if values.shape == off.shape and not np.iscomplexobj(values):
            inside = np.unique(values[off])
            if len(inside) == 1 and not np.isin(values[~off], inside).any():
                return f"where {name} is {inside[0]:.6g}"
    return f"at {int(off.sum())} of {off.size} elements"
