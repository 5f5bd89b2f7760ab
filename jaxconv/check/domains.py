"""Domains: sets of arrays in which an argument has to stay, such as probabilities.

Points, differences and rounding errors of a check stay in the domain, and gradients are compared in
its tangent space: two gradients that differ across the unit sphere, or in the antisymmetric part of
a symmetric matrix, are the same there.

A `Domain` knows four things about a point x of it. `why_not` says why an array does not lie in it,
`settled` returns a point nearby that does, and with δ a small change of x, `tangent` projects δ to
the tangent space, linearly, and `move` returns a change that does not leave the domain, and that
agrees with `tangent` to first order. `reach` is how far each element can be moved.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxconv.check.arrays import root_mean_square

Point = Array | np.ndarray
Change = Callable[[Array], Array]

CLOSE = 1e-2
"""How far a sum or a length may be from 1. 16 bits round by almost as much."""


@dataclass(frozen=True, eq=False)
class Domain:
    """A set of arrays.

    Attributes:
        name: what the domain is called in messages.
        why_not: says why an array does not lie in the domain; "" if it does.
        tangent: for a point of the domain, the projection of changes to the tangent space.
        move: for a point of the domain, the function from changes to changes that stay inside.
        settled: returns a point of the domain near an array.
        reach: how far each element of a point can be moved, at least; ∞ if any distance will do.
        directed: computes `direction`, where shorter steps near the end are not enough.
    """

    name: str
    why_not: Callable[[np.ndarray], str]
    tangent: Callable[[Point], Change]
    move: Callable[[Point], Change]
    settled: Callable[[np.ndarray], np.ndarray]
    reach: Callable[[np.ndarray], np.ndarray] = field(
        default=lambda x: np.full(np.shape(x), np.inf)
    )
    directed: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the whole gradient is compared, as inside of an interval."""
        return self.tangent is _as_it_is

    def direction(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Turn random numbers into a direction in which the point x can be moved by 1/100."""
        if self.directed is not None:
            return self.directed(x, v)
        return np.asarray(v * np.minimum(1.0, self.reach(x) / (root_mean_square(x) or 1.0)))

    def inside(self, x: Point) -> Change:
        """Return the map of arrays near the point x into the domain, which has x for a fixed point.

        Its derivative, as JAX takes it, is the projection to the tangent space at the point that it
        returns.
        """
        move, stop = self.move(x), jax.lax.stop_gradient

        def mapped(near: Array) -> Array:
            change = near - x
            there = stop(move(change) + x)
            along = self.tangent(there)(change)
            return there + (along - stop(along)).astype(near.dtype)

        return mapped


def _as_it_is(x: Point) -> Change:
    return lambda change: change


def _bounded(reach: Callable[[Point], Array]) -> Callable[[Point], Change]:
    """Return the move by δ·r/√(r² + δ²), which is shorter than r and δ to first order."""

    def move(x: Point) -> Change:
        r = reach(x)

        def moved(change: Array) -> Array:
            size = jnp.where(jnp.isfinite(r), r, 1).astype(change.dtype)
            share = change / jnp.where(size == 0, jnp.ones_like(size), size)
            short = jnp.where(size == 0, jnp.zeros_like(change), change / jnp.hypot(1, share))
            return jnp.where(jnp.isfinite(r), short, change)

        return moved

    return move


def interval(low: float | None, high: float | None, name: str = "") -> Domain:
    """Return the numbers between two bounds; None stands for no bound."""
    least, most = -math.inf if low is None else low, math.inf if high is None else high

    def reach(x: Point) -> Array:
        return jnp.minimum(x - least, most - x)

    def why_not(x: np.ndarray) -> str:
        outside = ~((x >= least) & (x <= most))
        if name == "positive":
            outside |= x == 0
        return f"it has the element {x[outside].ravel()[0]:g}" if outside.any() else ""

    def settled(x: np.ndarray) -> np.ndarray:
        inner = 1e-3 * root_mean_square(x) if name == "positive" else 0
        return np.clip(x, least + inner, most)

    return Domain(
        name or f"between {least:g} and {most:g}", why_not, _as_it_is, _bounded(reach), settled,
        lambda x: np.asarray(reach(x)),
    )  # fmt: skip


def _sorted() -> Domain:
    def reach(x: Point) -> Array:
        gaps = jnp.diff(x, axis=-1) / 2
        end = jnp.full_like(x[..., :1], jnp.inf)
        return jnp.minimum(
            jnp.concatenate([end, gaps], axis=-1), jnp.concatenate([gaps, end], axis=-1)
        )

    def why_not(x: np.ndarray) -> str:
        return "" if x.ndim and np.all(np.diff(x, axis=-1) >= 0) else "its last axis descends"

    return Domain(
        "sorted", why_not, _as_it_is, _bounded(reach), lambda x: np.sort(x, axis=-1),
        lambda x: np.asarray(reach(x)),
    )  # fmt: skip


def _is_square(x: np.ndarray) -> bool:
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2]


def _hermitian(change: Point) -> Array:
    return (jnp.conj(jnp.swapaxes(change, -1, -2)) + change) / 2


def _why_not_symmetric(x: np.ndarray) -> str:
    if not _is_square(x):
        return f"its shape is {x.shape}, and its last two axes are not of one size"
    other = np.conj(np.swapaxes(x, -1, -2))
    return "" if np.allclose(x, other, rtol=CLOSE, atol=1e-6) else "it is not its own transpose"


def _symmetric() -> Domain:
    def projection(x: Point) -> Change:
        return _hermitian

    return Domain(
        "symmetric", _why_not_symmetric, projection, projection, lambda x: np.asarray(_hermitian(x))
    )


def _positive_definite() -> Domain:
    def smallest(x: np.ndarray) -> np.ndarray:
        return np.linalg.eigvalsh(np.asarray(x))[..., :1, None]

    def why_not(x: np.ndarray) -> str:
        found = _why_not_symmetric(x)
        if found:
            return found
        least = float(smallest(x).min())
        return "" if least > 0 else f"it has the eigenvalue {least:g}"

    def move(x: Point) -> Change:
        # Weyl: no eigenvalue moves by more than the norm of the change, which stays below λ.
        least = smallest(np.asarray(x, np.complex128 if jnp.iscomplexobj(x) else float))

        def moved(change: Array) -> Array:
            along = _hermitian(change)
            square = jnp.sum(jnp.abs(along) ** 2, axis=(-2, -1), keepdims=True)
            return along * (least / jnp.sqrt(least**2 + square)).astype(change.real.dtype)

        return moved

    def settled(x: np.ndarray) -> np.ndarray:
        if not _is_square(x):
            return x
        values, vectors = np.linalg.eigh(np.asarray(_hermitian(x)))
        least = 1e-3 * np.abs(values).max(axis=-1, keepdims=True)
        kept = vectors * np.maximum(values, least)[..., None, :]
        return np.asarray(kept @ np.conj(np.swapaxes(vectors, -1, -2)))

    return Domain(
        "positive_definite", why_not, lambda x: _hermitian, move, settled,
        lambda x: np.broadcast_to(smallest(x), x.shape) / x.shape[-1],
    )  # fmt: skip


def _unit_sphere() -> Domain:
    def length(x: Point) -> Array:
        return jnp.sqrt(jnp.sum(jnp.abs(x) ** 2, axis=-1, keepdims=True))

    def why_not(x: np.ndarray) -> str:
        off = np.abs(np.asarray(length(x)) - 1) if x.ndim else np.ones(1)
        return "" if np.all(off < CLOSE) else "the length of its last axis is not 1"

    def tangent(x: Point) -> Change:
        def projected(change: Array) -> Array:
            along = jnp.sum((jnp.conj(x) * change).real, axis=-1, keepdims=True)
            return change - x * (along / jnp.sum(jnp.abs(x) ** 2, axis=-1, keepdims=True))

        return projected

    def move(x: Point) -> Change:
        return lambda change: (change + x) * (length(x) / length(x + change)) - x

    return Domain("unit_sphere", why_not, tangent, move, lambda x: x / np.asarray(length(x)))


def _simplex() -> Domain:
    def why_not(x: np.ndarray) -> str:
        if np.any(x < 0):
            return f"it has the element {x[x < 0].ravel()[0]:g}"
        off = np.abs(x.sum(axis=-1) - 1) if x.ndim else np.ones(1)
        return "" if np.all(off < CLOSE) else "its last axis does not add up to 1"

    def tangent(x: Point) -> Change:
        return lambda change: change - jnp.mean(change, axis=-1, keepdims=True)

    def move(x: Point) -> Change:
        inner = x > 0

        def moved(change: Array) -> Array:
            count = jnp.maximum(jnp.sum(inner.astype(x.dtype), axis=-1, keepdims=True), 1)
            kept = jnp.where(inner, change, 0)
            along = jnp.where(inner, kept - jnp.sum(kept, axis=-1, keepdims=True) / count, 0)
            # No element moves by more than itself.
            share = jnp.where(inner, along / jnp.where(inner, x, 1), 0)
            return along / jnp.sqrt(1 + jnp.sum(share**2, axis=-1, keepdims=True))

        return moved

    def settled(x: np.ndarray) -> np.ndarray:
        positive = np.maximum(x, 0)
        total = positive.sum(axis=-1, keepdims=True)
        return np.where(total > 0, positive / np.where(total > 0, total, 1), 1 / x.shape[-1])

    def directed(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return x * (v - np.sum(x * v, axis=-1, keepdims=True))

    return Domain("simplex", why_not, tangent, move, settled, lambda x: np.asarray(x), directed)


def _permutation() -> Domain:
    """A point has no neighbours, so that differences are not taken, and all of dx is compared."""

    def why_not(x: np.ndarray) -> str:
        wanted = np.arange(x.shape[-1]) if x.ndim else np.ones(1)
        return "" if np.array_equal(np.sort(x, -1), np.broadcast_to(wanted, x.shape)) else (
            f"its last axis is not a permutation of 0 to {x.shape[-1] - 1}" if x.ndim else
            "it has no axis"
        )  # fmt: skip

    def settled(x: np.ndarray) -> np.ndarray:
        return np.argsort(np.argsort(x, axis=-1), axis=-1).astype(x.dtype)

    return Domain(
        "permutation", why_not, _as_it_is, lambda x: jnp.zeros_like, settled,
        lambda x: np.zeros(x.shape),
    )  # fmt: skip


def permutation_of(values: ArrayLike) -> Domain:
    """Return the rearrangements of these numbers along the last axis.

    A point has no neighbours, so differences are not taken, and the whole gradient is compared.
    """
    wanted = np.sort(np.asarray(values, float))

    def why_not(x: np.ndarray) -> str:
        same = x.shape[-1:] == wanted.shape and np.allclose(np.sort(x, -1), wanted)
        return "" if same else "its last axis does not consist of the given numbers"

    def settled(x: np.ndarray) -> np.ndarray:
        order = np.argsort(np.argsort(x, axis=-1), axis=-1)
        return wanted[order].astype(x.dtype) if x.shape[-1:] == wanted.shape else x

    return Domain(
        "permutation of given numbers", why_not, _as_it_is, lambda x: jnp.zeros_like,
        settled, lambda x: np.zeros(x.shape),
    )  # fmt: skip


def projected(projection: Callable[[Point], Array]) -> Domain:
    """Return the set that a function, written with jax.numpy, projects arrays to."""

    def why_not(x: np.ndarray) -> str:
        there = np.asarray(projection(jnp.asarray(x)))
        if there.shape != x.shape:
            return f"the projection returns the shape {there.shape} for {x.shape}"
        far = float(np.max(np.abs(there - x), initial=0.0))
        scale = float(np.max(np.abs(x), initial=0.0)) or 1.0
        return "" if far <= CLOSE * scale else f"the projection moves it by {far:g}"

    def tangent(x: Point) -> Change:
        return lambda change: jax.jvp(projection, (x,), (change,))[1]

    def move(x: Point) -> Change:
        return lambda change: projection(x + change) - projection(x)

    return Domain(
        "what the projection leaves alone", why_not, tangent, move,
        lambda x: np.asarray(projection(jnp.asarray(x))),
    )  # fmt: skip


DOMAINS = {
    "positive": interval(0, None, "positive"),
    "probability": interval(0, 1, "probability"),
    "sorted": _sorted(),
    "symmetric": _symmetric(),
    "positive_definite": _positive_definite(),
    "unit_sphere": _unit_sphere(),
    "simplex": _simplex(),
    "permutation": _permutation(),
}
"""The domains that have a name."""


def domain_of(given: object) -> Domain | None:
    """Return the domain that the user means.

    Args:
        given: a name of `DOMAINS`, an interval (low, high) where None stands for no bound, a
            projection, a `Domain`, or None.

    Raises:
        ValueError: it is none of these.
    """
    if given is None or isinstance(given, Domain):
        return given
    if isinstance(given, str) and given in DOMAINS:
        return DOMAINS[given]
    if is_interval(given):
        low, high = given
        return interval(low, high)
    if callable(given):
        return projected(given)
    expected = ", ".join(map(repr, DOMAINS))
    raise ValueError(
        f"check_rule: domain must be one of {expected}, an interval (low, high) or a projection,"
        f" but got {given!r:.60}"
    )


def is_interval(given: object) -> TypeGuard[Sequence[float | None]]:
    """Whether this is a pair of bounds, the lower one first."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return False
    numbers = [b for b in given if isinstance(b, (Real, np.number)) and not isinstance(b, bool)]
    is_pair = len(numbers) == 2 or (len(numbers) == 1 and None in given)
    return is_pair and (len(numbers) == 1 or given[0] < given[1])
