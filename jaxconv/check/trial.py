"""A rule in one dtype, beside the truth: what all oracles ask."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.leaves import Leaves

Arrays = list[Any]
Pullback = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]

# How many units in the last place two right answers may be apart, before the conditioning of the
# problem (`Trial.noise`) is counted: sums in another order, a factor more or less.
ULPS = 64


def pullback(function: Callable[..., Arrays]) -> Pullback:
    """(arrays, cotangents) → (value, gradients)."""

    def run(arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        y, pull = jax.vjp(function, *arrays)
        return y, list(pull(dy))

    return run


class Trial:
    """One call of a rule and its reference in one dtype, with random cotangents.

    The truth is the reference's autodiff in float64, at the numbers the rule was given (rounded
    to its dtype, then widened). Without a reference there is none, and `truth` is None.
    """

    def __init__(
        self,
        rule: Callable[..., Any],
        reference: Callable[..., Any] | None,
        args: Sequence[Any],
        dtype: Any,
        cotangents: int,
        seed: int,
    ):
        self.dtype = jnp.dtype(dtype)
        self.leaves = Leaves.of(args).cast(dtype)
        self.exact = self.leaves.cast(jnp.float64)
        self.rule, self.reference = rule, reference
        self.bound = self.leaves.bind(rule)
        self.pull: Pullback = pullback(self.bound)
        self.rng = np.random.default_rng(seed)
        y = jax.eval_shape(lambda *a: self.bound(*a), *self.leaves.arrays)
        self.shapes = [(leaf.shape, leaf.dtype) for leaf in y]
        self.dys = [self.cotangent() for _ in range(cotangents)]
        self.jacobians: dict[int, np.ndarray] = {}

    def cotangent(self) -> Arrays:
        """Random cotangents of the output, exact in its dtype."""
        return [
            jnp.asarray(self.rng.standard_normal(shape)).astype(dtype)
            for shape, dtype in self.shapes
        ]

    @cached_property
    def truth(self) -> Pullback | None:
        """(arrays, cotangents) → (value, gradients) of the reference in float64, compiled once."""
        if self.reference is None:
            return None
        compiled = jax.jit(pullback(self.exact.bind(self.reference)))
        return lambda arrays, dy: compiled(widen(arrays), widen(dy))

    @cached_property
    def autodiff(self) -> Pullback:
        """The reference in the dtype of the trial."""
        assert self.reference is not None
        return jax.jit(pullback(self.leaves.bind(self.reference)))

    @cached_property
    def noise(self) -> list[float]:
        """How far each gradient moves if its arguments move by a rounding error."""
        assert self.truth is not None
        arrays, dy = widen(self.leaves.arrays), widen(self.dys[0])
        _, want = self.truth(arrays, dy)
        eps = float(jnp.finfo(self.dtype).eps)
        moved = [0.0] * len(want)
        for _ in range(3):
            jittered = [
                [a * (1 + eps * self.rng.uniform(-1, 1, a.shape)) for a in group]
                for group in (arrays, dy)
            ]
            for i, (near, exact) in enumerate(zip(self.truth(*jittered)[1], want, strict=True)):
                gap = np.abs(np.asarray(near) - np.asarray(exact))
                moved[i] = max(moved[i], float(np.max(gap[np.isfinite(gap)], initial=0.0)))
        return moved

    def allowed(self, leaf: int, want: np.ndarray, tolerance: float | None) -> np.ndarray:
        """The error each element of a gradient may have."""
        relative = ULPS * float(jnp.finfo(self.dtype).eps) if tolerance is None else tolerance
        finite = np.where(np.isfinite(want), want, 0)
        typical = np.sqrt(np.mean(finite**2)) if want.size else 0.0
        noise = self.noise[leaf] if self.truth is not None else 0.0
        return relative * (np.abs(finite) + typical) + ULPS * noise

    def allowed_value(self, want: np.ndarray) -> np.ndarray:
        """The error each element of the value may have."""
        relative = 16 * ULPS * float(jnp.finfo(self.dtype).eps)
        finite = np.where(np.isfinite(want), want, 0)
        typical = np.sqrt(np.mean(finite**2)) if want.size else 0.0
        return relative * (np.abs(finite) + typical)


def widen(arrays: Sequence[Any]) -> Arrays:
    """In float64."""
    return [jnp.asarray(a).astype(jnp.float64) for a in arrays]


def as_float64(array: Any) -> np.ndarray:
    """A numpy array to compare with."""
    return np.asarray(jnp.asarray(array).astype(jnp.float64))
