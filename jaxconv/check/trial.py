"""A rule in one dtype, beside the truth: what all oracles ask."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square, widen
from jaxconv.check.compare import Mismatch, compare
from jaxconv.check.differences import Differences
from jaxconv.check.leaves import Leaves, is_float

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


# Whoever draws arguments from the same seed must not get them back as cotangents: where dy = x,
# much cancels that should not, a normalization's whole gradient for one.
_STREAM = 57


class Precedents:
    """What the trials of many rules share that are held against one reference.

    Its gradients are compiled once for each form of the arguments, and no question is answered
    twice. Rules are run step by step then: what is compiled for one of them serves no other.
    """

    def __init__(self, reference: Callable[..., Any]):
        self.reference = reference
        self._compiled: dict[Any, Pullback] = {}
        self._differences: dict[Any, Differences] = {}
        self._autodiff: dict[Any, Pullback] = {}

    def truth(self, exact: Leaves) -> Pullback:
        """The truth for these arguments, or others of their form."""
        form = _form(exact)
        if form not in self._compiled:
            self._compiled[form] = _remembered(jax.jit(pullback(exact.bind(self.reference))))
        return self._compiled[form]

    def autodiff(self, leaves: Leaves, dtype: Any) -> Pullback:
        """The reference in this dtype."""
        form = (_form(leaves), dtype)
        if form not in self._autodiff:
            self._autodiff[form] = jax.jit(pullback(leaves.bind(self.reference)))
        return self._autodiff[form]

    def differences(self, exact: Leaves) -> Differences:
        """Those of the reference, whose value that of the rule has been held against."""
        form = _form(exact)
        if form not in self._differences:
            self._differences[form] = Differences(exact.bind(self.reference))
        return self._differences[form]


def _form(exact: Leaves) -> Any:
    """Shapes of what is differentiated; and all of the rest, which is compiled in."""
    rest = [leaf for i, leaf in enumerate(exact.leaves) if i not in exact.wanted]
    return (
        exact.tree,
        tuple(np.shape(a) for a in exact.arrays),
        tuple(leaf if isinstance(leaf, Hashable) else _content(leaf) for leaf in rest),
    )


def _content(array: Any) -> tuple[tuple[int, ...], bytes]:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.shape(array), np.asarray(array).tobytes()


def _remembered(compiled: Pullback) -> Pullback:
    answers: dict[tuple[bytes, ...], tuple[Arrays, Arrays]] = {}

    def truth(arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        given = [[np.asarray(a, np.float64) for a in group] for group in (arrays, dy)]
        question = tuple(a.tobytes() for group in given for a in group)
        if question not in answers:
            y, gradients = compiled(*given)
            answers[question] = list(map(np.asarray, y)), list(map(np.asarray, gradients))
        return answers[question]

    return truth


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
        """How far each gradient moves if its arguments move by a rounding error.

        At a kink or a tie it jumps, however small the move; that is no rounding, and 0 here. A
        jump is told from bad conditioning by a larger move, which makes it no larger.
        """
        eps = float(jnp.finfo(self.dtype).eps)
        _, want = self.best(self.leaves.arrays, self.dys[0])
        near = np.max([self._moved(eps, want) for _ in range(2)], axis=0)
        further = self._moved(16 * eps, want)
        cotangents = np.concatenate([as_float64(d).ravel() for d in self.dys[0]])
        driven = np.sqrt(np.mean(cotangents**2)) if cotangents.size else 0.0
        found = []
        for small, large, w in zip(near, further, map(as_float64, want), strict=True):
            rounding = 1e5 * eps * (root_mean_square(w) + driven)
            found.append(float(small) if small <= rounding or large >= 4 * small else 0.0)
        return found

    def _moved(self, by: float, want: Arrays) -> list[float]:
        """The largest change of each gradient if all that it is made from moves by so much."""
        taken = self.dtype if self.truth is None else jnp.float64
        jittered = [
            [(a * (1 + by * self.rng.uniform(-1, 1, a.shape))).astype(taken) for a in widen(group)]
            for group in (self.leaves.arrays, self.dys[0])
        ]
        gaps = [
            np.abs(as_float64(a) - as_float64(b))
            for a, b in zip(self.best(*jittered)[1], want, strict=True)
        ]
        return [float(np.max(gap[np.isfinite(gap)], initial=0.0)) for gap in gaps]

    def allowed(self, leaf: int, want: np.ndarray, tolerance: float | None) -> np.ndarray:
        """The error each element of a gradient may have."""
        relative = ULPS * float(jnp.finfo(self.dtype).eps) if tolerance is None else tolerance
        finite = np.where(np.isfinite(want), want, 0)
        typical = root_mean_square(want)
        return relative * (np.abs(finite) + typical) + ULPS * self.noise[leaf]

    @cached_property
    def _noise_of_saved(self) -> list[float]:
        """How far each gradient moves if what is saved for it moves by a rounding error.

        What a rule makes of its output is as uncertain as that: 1 − tanh² where tanh is near 1.
        """
        eps = float(jnp.finfo(self.dtype).eps)

        def rounded(saved: Any) -> Any:
            if not is_float(saved):
                return saved
            factor = 1 + eps * self.rng.uniform(-1, 1, saved.shape)
            return (widen([saved])[0] * factor).astype(saved.dtype)

        _, pull = jax.vjp(self.bound, *self.leaves.arrays)
        pulled = [as_float64(g) for g in pull(self.dys[0])]
        worst = [0.0] * len(pulled)
        for _ in range(3):
            for leaf, g in enumerate(jax.tree.map(rounded, pull)(self.dys[0])):
                gap = np.abs(as_float64(g) - pulled[leaf])
                worst[leaf] = max(worst[leaf], np.max(gap[np.isfinite(gap)], initial=0.0))
        return worst

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
        relative = 16 * ULPS * float(jnp.finfo(self.dtype).eps)
        finite = np.where(np.isfinite(want), want, 0)
        return relative * (np.abs(finite) + root_mean_square(want))


@contextmanager
def quickly_compiled() -> Iterator[None]:
    """Without optimizations: for what is small and runs a few times, compiling takes long."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
