"""Right numbers in the wrong places: flipped, transposed, shifted.

Each mistake is looked for in the gradient itself and in the arrays from which it is computed: if
the backward pass forgets to flip the kernel, dx is the right gradient for a flipped kernel.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, Predict, register
from jaxconv.check.diagnosis.numbers import axis_words

Change = Callable[[np.ndarray], np.ndarray | None]


def with_argument(evidence: Evidence, which: int, change: Change) -> Predict:
    """Predict the right gradient at arguments that differ in the one with number `which`."""

    def predict(o: Observation) -> np.ndarray | None:
        changed = change(o.arrays[which])
        if changed is None or changed.shape != o.arrays[which].shape:
            return None
        arrays = [*o.arrays[:which], changed, *o.arrays[which + 1 :]]
        return o.gradient(evidence.leaf, arrays=arrays)

    return predict


def with_cotangent(evidence: Evidence, change: Change, *, all_ranks: bool = False) -> Predict:
    """Predict the right gradient for a changed cotangent.

    Cotangents of outputs whose rank differs from the first one's stay as they are, unless
    `all_ranks` is set: the statistics that a normalization returns have other axes.
    """

    def predict(o: Observation) -> np.ndarray | None:
        alike = [all_ranks or d.ndim == o.dy[0].ndim for d in o.dy]
        tried = [change(d) if like else d for d, like in zip(o.dy, alike, strict=True)]
        changed = [c for c in tried if c is not None]
        if [c.shape for c in changed] != [d.shape for d in o.dy]:
            return None
        return o.gradient(evidence.leaf, dy=changed)

    return predict


def _everywhere(evidence: Evidence, rank: int, change: Change, how: str) -> Iterator[Guess]:
    """Guess the change in the gradient, in each argument of this rank and in the cotangent."""
    leaf, first = evidence.leaf, evidence.first
    if first.want[leaf].ndim == rank:
        yield Guess(f"d({evidence.name}) is {how}", lambda o: change(o.want[leaf]))
    for which, name in enumerate(evidence.names):
        if first.arrays[which].ndim == rank:
            yield Guess(
                f"d({evidence.name}) is computed from {name}, {how}",
                with_argument(evidence, which, change),
            )
    if first.dy[0].ndim == rank:
        yield Guess(
            f"d({evidence.name}) is computed from the cotangent, {how}",
            with_cotangent(evidence, change),
        )


def _ranks(evidence: Evidence) -> list[int]:
    first = evidence.first
    return sorted({a.ndim for a in (*first.arrays, first.dy[0])} - {0})


@register("spatially_flipped")
def spatially_flipped(evidence: Evidence) -> Iterator[Guess]:
    """The gradient, an argument or the cotangent is flipped along one or more adjacent axes."""
    for rank in _ranks(evidence):
        for count in range(1, rank + 1):
            for start in range(rank - count + 1):
                axes = tuple(range(start, start + count))
                how = f"flipped along {axis_words(axes)}"
                yield from _everywhere(evidence, rank, partial(np.flip, axis=axes), how)


def _swaps(rank: int) -> Iterator[tuple[tuple[int, int], Change, str]]:
    for i, j in combinations(range(rank), 2):

        def swap(a: np.ndarray, i: int = i, j: int = j) -> np.ndarray:
            return a.swapaxes(i, j).reshape(a.shape)

        def read(a: np.ndarray, i: int = i, j: int = j) -> np.ndarray:
            return a.reshape(a.swapaxes(i, j).shape).swapaxes(i, j)

        yield (i, j), swap, f"with axes {i} and {j} exchanged"
        yield (i, j), read, f"read as if axes {i} and {j} were exchanged"


def _channels(evidence: Evidence, which: int) -> list[tuple[int, int]]:
    """Return the pairs of axes that may be a kernel's channels: the last two or the first two.

    Where the channels of x and y fit only one of these pairs, that one is returned alone.
    """
    x, y, kernel = evidence.first.arrays[0], evidence.first.dy[0], evidence.first.arrays[which]
    end, beginning = (kernel.ndim - 2, kernel.ndim - 1), (0, 1)
    if not x.ndim == y.ndim == kernel.ndim:
        return [beginning, end]

    def fits(pair: tuple[int, int], at: int) -> bool:
        """Whether one size is the channels of x or y, and the other those of y or x, or a group."""
        sizes, around = [kernel.shape[axis] for axis in pair], [x.shape[at], y.shape[at]]
        for (whole, part), (of, other) in product((sizes, sizes[::-1]), (around, around[::-1])):
            if whole == of and part and other % part == 0:
                groups = other // part
                if groups and whole % groups == 0:
                    return True
        return False

    found = [pair for pair, at in ((end, -1), (beginning, 1)) if fits(pair, at)]
    return found or [beginning, end]


def _exchanges(evidence: Evidence, *, channels: bool) -> Iterator[Guess]:
    """Guess two exchanged axes: those that are the channels of a kernel, or all others."""
    leaf = evidence.leaf
    for which in (leaf, *(w for w in range(len(evidence.names)) if w != leaf)):
        rank = evidence.first.arrays[which].ndim
        for pair, change, how in _swaps(rank):
            kernel = which > 0 and rank >= 3 and pair in _channels(evidence, which)
            if kernel != channels:
                continue
            if channels:
                how = how.replace("axes", "its input and output channels, axes", 1)
                how = how.replace("exchanged", ", exchanged").replace(" ,", ",")
            if which == leaf:
                yield Guess(
                    f"d({evidence.name}) comes {how}",
                    lambda o, change=change: change(o.want[leaf]),  # type: ignore[misc]
                )
            name = evidence.names[which]
            yield Guess(
                f"d({evidence.name}) is computed from {name} {how}",
                with_argument(evidence, which, change),
            )


@register("channels_exchanged")
def channels_exchanged(evidence: Evidence) -> Iterator[Guess]:
    """The input and output channels of a kernel are exchanged."""
    yield from _exchanges(evidence, channels=True)


@register("axes_swapped")
def axes_swapped(evidence: Evidence) -> Iterator[Guess]:
    """Two other axes are exchanged, or the Jacobian is used instead of its transpose."""
    yield from _exchanges(evidence, channels=False)
    for _, change, how in _swaps(evidence.first.dy[0].ndim):
        yield Guess(
            f"d({evidence.name}) is computed from the cotangent {how}",
            with_cotangent(evidence, change),
        )

    def untransposed(o: Observation) -> np.ndarray | None:
        jacobian = o.jacobian(evidence.leaf)
        x, dy = o.arrays[evidence.leaf], o.dy[0]
        if jacobian is None or x.size != dy.size:
            return None
        return (jacobian.reshape(dy.size, x.size) @ dy.ravel()).reshape(x.shape)

    yield Guess(
        f"d({evidence.name}) is the Jacobian times dy, not its transpose times dy", untransposed
    )


def shift(a: np.ndarray, k: int, axes: tuple[int, ...], fill: str) -> np.ndarray | None:
    """Shift by k along each axis; new elements are zeros, wrapped around, or masked."""
    if any(a.shape[axis] < 2 * abs(k) for axis in axes):
        return None  # fewer elements would stay than come in
    moved = np.roll(a, (k,) * len(axes), axes)
    if fill == "wrapped":
        return moved
    new = np.zeros(a.shape, bool)
    for axis in axes:
        index = np.arange(a.shape[axis])
        entered = index < k if k > 0 else index >= a.shape[axis] + k
        new |= entered.reshape([-1 if n == axis else 1 for n in range(a.ndim)])
    if fill == "zeros":
        return np.where(new, 0.0, moved)
    return np.ma.array(moved, mask=new) if np.sum(~new) >= 3 else None


@register("shifted")
def shifted(evidence: Evidence) -> Iterator[Guess]:
    """The numbers are shifted by 1 or 2 along one axis or two: an offset or a padding is wrong."""
    leaf = evidence.leaf
    for fill in ("zeros", "wrapped", "open"):
        for rank in _ranks(evidence):
            places = [(i,) for i in range(rank)] + [(i, i + 1) for i in range(rank - 1)]
            for axes in places:
                for k in (1, -1, 2, -2):
                    words = {"zeros": ", zeros come in", "wrapped": " cyclically", "open": ""}[fill]
                    how = f"shifted by {k} along {axis_words(axes)}{words}".replace("-", "−")

                    def change(
                        a: np.ndarray, k: int = k, axes: tuple[int, ...] = axes, fill: str = fill
                    ) -> np.ndarray | None:
                        return shift(a, k, axes, fill)

                    if fill != "open":
                        yield from _everywhere(evidence, rank, change, how)
                    elif evidence.first.want[leaf].ndim == rank:
                        yield Guess(
                            f"d({evidence.name}) is {how}",
                            lambda o, change=change: change(o.want[leaf]),  # type: ignore[misc]
                        )
