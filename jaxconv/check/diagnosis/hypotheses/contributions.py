"""Mistakes in summing contributions: over the wrong axes, or only some of them.

The Jacobian times dy is what each output contributes to each element of the gradient.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypotheses.arrangement import with_cotangent
from jaxconv.check.diagnosis.hypothesis import Guess, Predict, register
from jaxconv.check.diagnosis.numbers import axis_words


def _contributions(o: Observation, leaf: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return dy·∂y/∂x, of shape (*y.shape, *x.shape), and ∂y/∂x alone."""
    jacobian = o.jacobian(leaf)
    if jacobian is None:
        return None
    dy = o.dy[0].reshape((*o.dy[0].shape, *(1,) * o.arrays[leaf].ndim))
    return jacobian * dy, jacobian


@register("diagonal_only")
def diagonal_only(evidence: Evidence) -> Iterator[Guess]:
    """The rule treats each output as if it depended on one input only."""
    leaf = evidence.leaf

    def predict(o: Observation) -> np.ndarray | None:
        jacobian, x = o.jacobian(leaf), o.arrays[leaf]
        if jacobian is None or o.dy[0].shape != x.shape:
            return None
        return jacobian.reshape(x.size, x.size).diagonal().reshape(x.shape) * o.dy[0]

    yield Guess(
        f"d({evidence.name}) uses the diagonal of the Jacobian only: how an element acts on the"
        " other outputs is left out",
        predict,
    )


def _elementwise(o: Observation, leaf: int) -> np.ndarray | None:
    """Return each output's contribution if it goes to one element, as for a bias; else None."""
    found = _contributions(o, leaf)
    if found is None:
        return None
    each, jacobian = found
    flat = jacobian.reshape(o.dy[0].size, -1)
    if flat.shape[1] == o.dy[0].size or np.any(np.count_nonzero(flat, axis=1) > 1):
        return None
    return each.reshape(o.dy[0].size, -1).sum(1).reshape(o.dy[0].shape)


def _pieces(each: np.ndarray, plan: tuple[str, ...]) -> np.ndarray:
    """Sum, slice or keep each axis, as planned."""
    for axis in reversed(range(len(plan))):
        if plan[axis] == "sum":
            each = each.sum(axis)
        elif plan[axis] != "keep":
            each = each.take(0 if plan[axis] == "first" else -1, axis)
    return each


def _reduced(evidence: Evidence, plan: tuple[str, ...]) -> Predict:
    leaf = evidence.leaf

    def predict(o: Observation) -> np.ndarray | None:
        each = _elementwise(o, leaf)
        if each is None or each.ndim != len(plan):
            return None
        pieces = _pieces(each, plan)
        x = o.arrays[leaf]
        return pieces.reshape(x.shape) if pieces.size == x.size else None

    return predict


@register("reduction_missing")
def reduction_missing(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is one slice instead of a sum, or a softmax lacks its sum."""
    if _elementwise(evidence.first, evidence.leaf) is not None:
        for which in ("first", "last"):
            for plan in product(("sum", which, "keep"), repeat=evidence.first.dy[0].ndim):
                cut = [axis for axis, how in enumerate(plan) if how == which]
                if cut:
                    yield Guess(
                        f"d({evidence.name}) is not summed over {axis_words(cut)} of y: it is the"
                        f" {which} slice",
                        _reduced(evidence, plan),
                    )
    yield from _softmax(evidence, None)


@register("wrong_reduction")
def wrong_reduction(evidence: Evidence) -> Iterator[Guess]:
    """A sum runs over the wrong axes, also the one in a softmax, or dy is averaged."""
    rank = evidence.first.dy[0].ndim
    axes = [a for n in range(1, rank + 1) for a in combinations(range(rank), n)]
    if _elementwise(evidence.first, evidence.leaf) is not None:
        for chosen in axes:
            plan = tuple("sum" if axis in chosen else "keep" for axis in range(rank))
            yield Guess(
                f"d({evidence.name}) is summed over {axis_words(chosen)} of y, which are the wrong"
                " ones",
                _reduced(evidence, plan),
            )
    for words, change in (("sum", np.sum), ("mean", np.mean)):
        yield Guess(
            f"each element of d({evidence.name}) is the {words} of all of them",
            partial(_of_all, leaf=evidence.leaf, change=change),
        )
    for chosen in axes:
        yield from _softmax(evidence, chosen)

    def averaged(o: Observation, chosen: tuple[int, ...]) -> np.ndarray | None:
        dy = [np.broadcast_to(d.mean(chosen, keepdims=True), d.shape) for d in o.dy]
        return o.gradient(evidence.leaf, dy=dy)

    for chosen in axes if len(evidence.first.dy) == 1 else []:
        yield Guess(
            f"d({evidence.name}) is computed from the mean of dy over {axis_words(chosen)}",
            lambda o, chosen=chosen: averaged(o, chosen),  # type: ignore[misc]
        )


def _of_all(o: Observation, leaf: int, change: Callable[[np.ndarray], float]) -> np.ndarray | None:
    want = o.want[leaf]
    return np.full_like(want, change(want)) if want.size > 1 else None


def _softmax(evidence: Evidence, wrong: tuple[int, ...] | None) -> Iterator[Guess]:
    """Guess y·(dy − Σ y·dy) (softmax) or dy − exp(y)·Σ dy (its log), with a wrong sum or none."""
    leaf, first = evidence.leaf, evidence.first
    if first.dy[0].shape != first.want[leaf].shape or len(first.dy) > 1:
        return

    def form(o: Observation, log: bool, axes: tuple[int, ...] | None) -> np.ndarray:
        y, dy = o.y[0], o.dy[0]
        inner = dy if log else y * dy
        over = inner.sum(axes, keepdims=True) if axes is not None else np.zeros_like(inner)
        return dy - np.exp(y) * over if log else inner - y * over

    rank = first.dy[0].ndim
    for log in (False, True):
        for n in range(1, rank + 1):
            for axes in combinations(range(rank), n):
                gap = np.abs(form(first, log, axes) - first.want[leaf])
                if np.max(gap, initial=0) > evidence.exact * np.max(np.abs(first.want[leaf])):
                    continue
                what = f"the sum over {axis_words(axes)}"
                left = "is left out" if wrong is None else f"is taken over {axis_words(wrong)}"
                yield Guess(
                    f"{what} {left} in d({evidence.name})",
                    lambda o, log=log: form(o, log, wrong),  # type: ignore[misc]
                )


@register("last_window_only")
def last_window_only(evidence: Evidence) -> Iterator[Guess]:
    """Contributions are assigned, not added: each element keeps that of one output only."""
    leaf, rank = evidence.leaf, evidence.first.dy[0].ndim
    for which, count in product(("last", "first"), range(1, rank + 1)):
        for start in range(rank - count + 1):
            axes = tuple(range(start, start + count))

            def predict(
                o: Observation, axes: tuple[int, ...] = axes, which: str = which
            ) -> np.ndarray | None:
                found = _contributions(o, leaf)
                return None if found is None else _one_of(*found, o.dy[0].ndim, axes, which)

            yield Guess(
                f"d({evidence.name}) is assigned, not added up: of the outputs along"
                f" {axis_words(axes)} of y that reach an element, only the {which} counts",
                predict,
            )

    for which, index in (("last", -1), ("first", 0)):
        for count in range(1, rank):
            for start in range(1, rank - count + 1):
                axes = tuple(range(start, start + count))

                def only(
                    d: np.ndarray, axes: tuple[int, ...] = axes, index: int = index
                ) -> np.ndarray | None:
                    if d.ndim <= max(axes) or not d.size:
                        return None
                    here = tuple(index if axis in axes else slice(None) for axis in range(d.ndim))
                    kept = np.zeros_like(d)
                    kept[here] = d[here]
                    return kept

                yield Guess(
                    f"d({evidence.name}) is assigned, not added up: of the outputs along"
                    f" {axis_words(axes)} of y, only the {which} counts",
                    with_cotangent(evidence, only),
                )


def _one_of(
    each: np.ndarray, jacobian: np.ndarray, rank: int, axes: tuple[int, ...], which: str
) -> np.ndarray | None:
    if len(axes) > rank or max(axes) >= rank:
        return None
    rest = tuple(axis for axis in range(rank) if axis not in axes)
    reached = np.any(jacobian != 0, axis=rest)
    summed = each.sum(rest)
    shape = summed.shape[len(axes) :]
    summed, reached = (a.reshape(-1, *shape) for a in (summed, reached))
    if which == "last":
        summed, reached = summed[::-1], reached[::-1]
    index = reached.argmax(0)
    return np.take_along_axis(summed, index[None], 0)[0]
