"""A part of the cotangent that is used for all of it.

This is tried after the contributions that are assigned and not added, and after the sums that are
missing: they explain the same numbers, and say why.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence
from jaxconv.check.diagnosis.hypotheses.arrangement import with_cotangent
from jaxconv.check.diagnosis.hypothesis import Guess, register


@register("cotangent_in_part")
def cotangent_in_part(evidence: Evidence) -> Iterator[Guess]:
    """Only the first or last part of the cotangent is used, for everything or for its own place."""
    rank = evidence.first.dy[0].ndim

    def kept(d: np.ndarray, axes: Sequence[int], end: int, *, spread: bool) -> np.ndarray | None:
        if d.ndim != rank or not d.size:
            return None
        part = d
        for axis in axes:
            part = np.take(part, [end], axis)
        if spread:
            return np.broadcast_to(part, d.shape).copy()
        alone = np.zeros_like(d)
        index = tuple(slice(-1, None) if end else slice(1) for _ in axes)
        where = [slice(None)] * d.ndim
        for axis, one in zip(axes, index, strict=True):
            where[axis] = one
        alone[tuple(where)] = part
        return alone

    choices = [tuple(range(rank)), *((axis,) for axis in range(rank))] if rank > 1 else [(0,)]
    for axes in choices if rank else []:
        for end, word in ((0, "first"), (-1, "last")):
            for spread in (True, False):
                part = "element" if len(axes) == rank else f"index of axis {axes[0]}"
                use = "in the place of all others" if spread else "and the others are ignored"
                yield Guess(
                    f"d({evidence.name}) uses the cotangent in part: its {word} {part}, {use}",
                    with_cotangent(evidence, partial(kept, axes=axes, end=end, spread=spread)),
                )
