"""A rule in one dtype, beside the truth: what all oracles ask."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square, widen
from jaxconv.check.compare import Mismatch, compare
from jaxconv.check.differences import Differences
from jaxconv.check.leaves import Leaves, Pullback, is_float, pullback
from jaxconv.check.precedents import Precedents

# How many units in the last place two right answers may be apart, before the conditioning of the
# problem (`Trial.noise`) is counted: sums in another order, a factor more or less.
ULPS = 64

# A move of the arguments by a rounding error changes a gradient by less than this part of its size,
# or it jumped (`_smooth`). In 16 bits a multiple of eps would be more than the gradient itself.
JUMP = 1e-2

# Whoever draws arguments from the same seed must not get them back as cotangents: where dy = x,
# much cancels that should not, a normalization's whole gradient for one.
_STREAM = 57


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
        truth: Pullback | None = None,
        precedents: Precedents | None = None,
    ):
        self.dtype = jnp.dtype(dtype)
        self.eps = float(jnp.finfo(dtype).eps)
        self.leaves = Leaves.of(args).cast(dtype)
        self.exact = self.leaves.cast(jnp.float64)
        self.rule, self.reference, self._precedents = rule, reference, precedents
        self.bound = self.leaves.bind(rule)
        self.eager: Pullback = pullback(self.bound)
        self.rng = np.random.default_rng((seed, _STREAM))
        if precedents is not None:
            self.truth = precedents.truth(self.exact)
        if truth is not None:
            self.truth = truth  # compiled already
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
    def compiled(self) -> Pullback:
        """The pullback of the rule under jit."""
        return jax.jit(self.eager)

    def pull(self, arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        """The pullback of the rule: compiled, as that is faster, if it can be and is worth it."""
        if self._precedents is not None:
            return self.eager(arrays, dy)
        try:
            return self.compiled(arrays, dy)
        except Exception:
            return self.eager(arrays, dy)

    @cached_property
    def truth(self) -> Pullback | None:
        """(arrays, cotangents) → (value, gradients) of the reference in float64, compiled once."""
        if self.reference is None:
            return None
        compiled = jax.jit(pullback(self.exact.bind(self.reference)))
        return lambda arrays, dy: compiled(widen(arrays), widen(dy))

    @property
    def best(self) -> Pullback:
        """The truth; without a reference, what the rule says itself."""
        return self.truth or self.pull

    @cached_property
    def autodiff(self) -> Pullback:
        """The reference in the dtype of the trial."""
        assert self.reference is not None
        if self._precedents is not None:
            return self._precedents.autodiff(self.leaves, self.dtype)
        return jax.jit(pullback(self.leaves.bind(self.reference)))

    @cached_property
    def differences(self) -> Differences:
        """Those of the rule, in float64."""
        if self._precedents is not None:
            return self._precedents.differences(self.exact)
        return Differences(self.exact.bind(self.rule))

    @cached_property
    def noise(self) -> list[float]:
        """How far each gradient moves if its arguments move by a rounding error."""
        _, want = self.best(self.leaves.arrays, self.dys[0])
        near = self._largest([self._moved(self.eps, want) for _ in range(2)])
        further = self._largest([self._moved(16 * self.eps, want) for _ in range(2)])
        rounding = [min(1e5 * self.eps, JUMP) * size for size in self._sizes(want)]
        return [
            float(np.max(_smooth(*gaps), initial=0.0))
            for gaps in zip(near, further, rounding, strict=True)
        ]

    @cached_property
    def _noise_of_saved(self) -> Arrays:
        """How far each element moves if what is saved for it moves by a rounding error.

        What a rule makes of its output is as uncertain as that: 1 − tanh² where tanh is near 1.
        """
        _, pull = jax.vjp(self.bound, *self.leaves.arrays)
        want = list(pull(self.dys[0]))

        def moved(by: float) -> Arrays:
            def move(saved: Any) -> Any:
                return self._jittered(saved, by).astype(saved.dtype) if is_float(saved) else saved

            return _gaps(jax.tree.map(move, pull)(self.dys[0]), want)

        near = self._largest([moved(self.eps) for _ in range(3)])
        further = self._largest([moved(16 * self.eps) for _ in range(3)])
        rounding = [min(1e5 * self.eps, JUMP) * size for size in self._sizes(want)]
        return [_smooth(*gaps) for gaps in zip(near, further, rounding, strict=True)]

    def _moved(self, by: float, want: Arrays) -> Arrays:
        """The change of each gradient if all that it is made from moves by so much."""
        taken = self.dtype if self.truth is None else jnp.float64
        arrays, dy = (
            [self._jittered(a, by).astype(taken) for a in group]
            for group in (self.leaves.arrays, self.dys[0])
        )
        return _gaps(self.best(arrays, dy)[1], want)

    def _jittered(self, array: Any, by: float) -> Any:
        return widen([array])[0] * (1 + by * self.rng.uniform(-1, 1, array.shape))

    def _sizes(self, gradients: Arrays) -> list[float]:
        """Of what each gradient is added up from, which may be more than what is left."""
        driven = root_mean_square(np.concatenate([as_float64(d).ravel() for d in self.dys[0]]))
        return [root_mean_square(as_float64(g)) + driven for g in gradients]

    @staticmethod
    def _largest(tries: Sequence[Arrays]) -> Arrays:
        return [np.max(gaps, axis=0) for gaps in zip(*tries, strict=True)]

    def allowed(self, leaf: int, want: np.ndarray, tolerance: float | None) -> np.ndarray:
        """The error each element of a gradient may have."""
        relative = ULPS * self.eps if tolerance is None else tolerance
        finite = np.where(np.isfinite(want), want, 0)
        return relative * (np.abs(finite) + root_mean_square(want)) + ULPS * self.noise[leaf]

    def off(
        self, leaf: int, got: np.ndarray, want: np.ndarray, allowed: np.ndarray, ulps: float = ULPS
    ) -> Mismatch | None:
        """Where a gradient is off, by more than is allowed and than what is saved explains."""
        mismatch = compare(got, want, allowed)
        if mismatch is None:
            return None
        return compare(got, want, allowed + ulps * self._noise_of_saved[leaf])

    def allowed_value(self, want: np.ndarray) -> np.ndarray:
        """The error each element of the value may have."""
        relative = 16 * ULPS * self.eps
        finite = np.where(np.isfinite(want), want, 0)
        return relative * (np.abs(finite) + root_mean_square(want))


def _gaps(got: Sequence[Any], want: Sequence[Any]) -> Arrays:
    """How far they are apart; 0 where that is no number."""
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        gaps = [np.abs(as_float64(g) - as_float64(w)) for g, w in zip(got, want, strict=True)]
    return [np.where(np.isfinite(gap), gap, 0.0) for gap in gaps]


def _smooth(near: np.ndarray, further: np.ndarray, rounding: float) -> np.ndarray:
    """What moves with the arguments. A jump does not, at a kink or a tie, and is 0 here.

    Any move brings it about, so a larger one makes it no larger; unlike bad conditioning.
    """
    return np.where((near <= rounding) | (further >= 4 * near), near, 0.0)


@contextmanager
def quickly_compiled() -> Iterator[None]:
    """Without optimizations: for what is small and runs a few times, compiling takes long."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
