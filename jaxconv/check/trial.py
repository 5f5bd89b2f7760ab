"""`Trial`: one call of a rule in one dtype, the right answer, and the errors allowed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function, Values
from jaxconv.check.arrays import Arrays, as_exact, placed, root_mean_square, sizes, widen
from jaxconv.check.compare import Mismatch, compare
from jaxconv.check.compiling import quick_jit
from jaxconv.check.diagnosis.repair.program import Program, program_of
from jaxconv.check.differences import Differences
from jaxconv.check.domains import Domain
from jaxconv.check.leaves import Leaves, Pullback, is_float, pullback
from jaxconv.check.naming import argument_names
from jaxconv.check.precedents import Precedents
from jaxconv.check.precision import precision
from jaxconv.check.tolerance import EXACTLY, Tolerance

# Two right answers may differ by this many units in the last place, because they add in another
# order or round one product more. What the conditioning of the problem adds (`Trial.noise`) is
# allowed on top.
ULPS = 64
NARROW_ULPS = 16
"""So many units may two right answers in 16 bits differ by: 64 would be half of the number."""
FEWEST_ULPS = 2
"""So many units may two right answers in 8 bits differ by."""

# A change of at most this fraction of a gradient's size may be rounding; a larger one must grow
# with the move of the arguments, otherwise the gradient jumped (`_smooth`). This caps the multiple
# of eps used there, which in 16 bits would be larger than the gradient itself.
JUMP = 1e-2

# Cotangents get a random stream of their own: a user who draws arguments from the same seed would
# otherwise get dy = x, where much cancels, such as the whole gradient of a normalization.
_STREAM = 57


class Trial:
    """One call of a rule and its reference in one dtype, with random cotangents.

    The truth is the gradient of the reference by autodiff in float64, at the numbers the rule got
    (rounded to its dtype, then widened). Without a reference `truth` is None.
    """

    def __init__(
        self,
        rule: Function,
        reference: Function | None,
        args: Values,
        dtype: DType,
        cotangents: int,
        seed: int,
        truth: Pullback | None = None,
        precedents: Precedents | None = None,
        tolerance: Tolerance = EXACTLY,
        x64: bool = True,
        domains: Sequence[Domain | None] = (),
    ):
        self.dtype = jnp.dtype(dtype)
        self.eps = float(jnp.finfo(dtype).eps)
        self.linear_eps = self.eps
        self.tolerance, self.x64 = tolerance, x64
        called = argument_names((rule, reference), len(args))
        given = Leaves.of(args, called, domains)
        self.is_as_given = all(a.dtype == self.dtype for a in given.arrays)
        self.leaves = given.cast(dtype)
        if not x64:
            self.leaves = self.leaves.without_x64()
        self.exact = self.leaves.cast(jnp.float64)
        self.rule, self.reference, self._precedents = rule, reference, precedents
        self.bound = self.leaves.bind(rule)
        self.eager: Pullback = self.as_called(pullback(self.bound))
        self.rng = np.random.default_rng((seed, _STREAM))
        if precedents is not None:
            self.truth = precedents.truth(self.exact)
        if truth is not None:
            self.truth = truth  # it is compiled already
        y = self.as_called(partial(jax.eval_shape, lambda *a: self.bound(*a)))(*self.leaves.arrays)
        self.shapes = [(leaf.shape, leaf.dtype) for leaf in y]
        self.dys = [self.cotangent() for _ in range(cotangents)]
        if precedents is None:
            self.dys += self._lopsided()
        self.jacobians: dict[int, np.ndarray] = {}

    def cotangent(self) -> Arrays:
        """Draw random cotangents of the output, in its dtype."""

        def drawn(shape: tuple[int, ...], dtype: DType) -> jax.Array:
            numbers = self.rng.standard_normal(shape)
            if jnp.issubdtype(dtype, jnp.complexfloating):
                numbers = numbers + 1j * self.rng.standard_normal(shape)
            return placed(numbers, dtype)

        return [drawn(shape, dtype) for shape, dtype in self.shapes]

    def _lopsided(self) -> list[Arrays]:
        """Return cotangents whose sums do not cancel, so that sums in 16 bits show."""
        ones = [placed(np.ones(shape), dtype) for shape, dtype in self.shapes]
        far = [placed(4 + as_exact(d), d.dtype) for d in self.cotangent()]
        return [ones, far]

    def as_called(self, function: Function) -> Function:
        """Return the function as it runs in the user's program, which may have x64 off."""
        return called_with(function, x64=self.x64)

    def program(self) -> Program:
        """Return the traced program of the rule with its backward pass."""
        args = self.leaves.args(self.leaves.arrays)
        is_open = all(domain is None or domain.is_open for domain in self.leaves.domains)
        bound = replace(self.leaves, domains=(None,) * len(self.leaves.leaves)).bind(self.rule)
        bound = bound if is_open else self.bound
        return program_of(
            bound, self.leaves.arrays, self.dys[0], self.leaves.names, self.rule, args
        )

    @cached_property
    def compiled(self) -> Pullback:
        """The pullback of the rule under jit.

        For the dtype of the user's arguments it is optimized as in the user's program.
        """
        run = pullback(self.bound)
        arrays = self.leaves.arrays
        return self.as_called(jax.jit(run) if self.is_as_given else quick_jit(run, arrays))

    def pull(self, arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        """Return the rule's value and gradients.

        The pullback is compiled, unless that fails or it would serve one call only.
        """
        if self._precedents is not None:
            return self.eager(arrays, dy)
        try:
            return self.compiled(arrays, dy)
        except Exception:
            return self.eager(arrays, dy)

    @cached_property
    def truth(self) -> Pullback | None:
        """(arrays, cotangents) → (value, gradients) of the reference in float64, compiled once.

        If neither the rule nor the reference takes float64, it is computed in the trial's dtype.
        """
        if self.reference is None:
            return None
        if self.refusal is not None:
            return self._rounded_truth(self.reference)
        exact = self.exact
        compiled = called_with(
            quick_jit(pullback(exact.bind(self.reference)), exact.arrays), x64=True
        )
        return lambda arrays, dy: compiled(widen(arrays), widen(dy))

    @cached_property
    def refusal(self) -> Exception | None:
        """Why the reference cannot be called in float64, if the rule cannot be either."""
        if self.reference is None or self.dtype == jnp.float64:
            return None
        call = self.exact.bind(self.reference)
        try:
            called_with(lambda *a: jax.eval_shape(call, *a), x64=True)(*self.exact.arrays)
        except Exception as error:
            return error
        return None

    def _rounded_truth(self, reference: Function) -> Pullback:
        arrays, shapes = self.leaves.arrays, self.shapes
        run = self.as_called(quick_jit(pullback(self.leaves.bind(reference)), arrays))

        def rounded(given: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
            xs = [placed(a, own.dtype) for a, own in zip(given, arrays, strict=True)]
            return run(xs, [placed(d, dtype) for d, (_, dtype) in zip(dy, shapes, strict=True)])

        return rounded

    def coarsen(self, given: float) -> bool:
        """Take the precision in which the rule works, if it is a narrower one than its dtype's.

        A narrow dtype is the rule's choice if its value, the reference or the arguments that the
        user gave have it too; a gradient alone that is rounded has lost precision.

        Args:
            given: the unit of rounding of the arguments that the user gave.

        Returns:
            Whether the precision is narrower than it was taken to be.
        """
        dy = self.dys[0]
        arrays = self.leaves.arrays
        value = precision(self.as_called(lambda a: self.bound(*a)), arrays)
        chosen = max(value, given)
        if self.reference is not None and self.refusal is None:
            exact = pullback(self.exact.bind(self.reference))
            reference = precision(lambda a: _flat(exact(a, widen(dy))), self.exact.arrays)
            chosen = max(chosen, reference)
            value = max(value, reference)
        gradients = precision(self.as_called(lambda a: _flat(self.eager(a, dy))), arrays)
        found = max(value, min(gradients, chosen))
        self.linear_eps = min(found, precision(lambda d: self.eager(arrays, d)[1], dy))
        if found <= self.eps:
            return False
        self.eps = found
        for name in ("noise", "_noise_of_saved", "differences"):
            vars(self).pop(name, None)
        return True

    @property
    def ulps(self) -> int:
        """The multiple of eps by which two right answers may differ."""
        return _ulps(self.eps)

    @property
    def best(self) -> Pullback:
        """The truth; without a reference, the rule's own pullback."""
        return self.truth or self.pull

    @cached_property
    def autodiff(self) -> Pullback:
        """The pullback of the reference in the dtype of the trial."""
        assert self.reference is not None
        if self._precedents is not None:
            return self._precedents.autodiff(self.leaves, self.dtype)
        run = pullback(self.leaves.bind(self.reference))
        return self.as_called(quick_jit(run, self.leaves.arrays))

    @cached_property
    def differences(self) -> Differences:
        """Central differences of the rule, in float64 if it takes that; else of the reference.

        Where no reference takes float64 either, the rule is differenced in its own dtype.
        """
        if self._precedents is not None:
            return self._precedents.differences(self.exact)
        reaches = self.exact.reaches
        if self.dtype == jnp.float64:
            return Differences(self.exact.bind(self.rule), self.eps, reaches=reaches)
        if self.reference is not None and self.refusal is None:
            return Differences(self.exact.bind(self.reference), reaches=reaches)
        run = self.as_called(quick_jit(self.bound, self.leaves.arrays))
        return Differences(run, self.eps, reaches=reaches, one_by_one=True)

    @cached_property
    def noise(self) -> list[float]:
        """How far each gradient moves if arguments and cotangent move by a rounding error."""
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
        """How far each gradient element moves if the residuals move by a rounding error.

        A gradient computed from the output is that uncertain: 1 − tanh² where tanh is near 1.
        """
        _, pull = jax.vjp(self.bound, *self.leaves.arrays)
        want = list(pull(self.dys[0]))

        def moved(by: float) -> Arrays:
            def move(saved: Any) -> Any:
                return placed(self._jittered(saved, by), saved.dtype) if is_float(saved) else saved

            return _gaps(jax.tree.map(move, pull)(self.dys[0]), want)

        near = self._largest([moved(self.eps) for _ in range(3)])
        further = self._largest([moved(16 * self.eps) for _ in range(3)])
        rounding = [min(1e5 * self.eps, JUMP) * size for size in self._sizes(want)]
        return [_smooth(*gaps) for gaps in zip(near, further, rounding, strict=True)]

    def _moved(self, by: float, want: Arrays) -> Arrays:
        """Return each gradient's change if arguments and cotangent move by the factor 1 ± `by`."""
        arrays: Arrays = [self._jittered(a, by) for a in self.leaves.arrays]
        dy = [self._jittered(d, by) for d in self.dys[0]]
        if self.truth is None:
            pairs = zip(arrays, self.leaves.arrays, strict=True)
            arrays = [placed(moved, a.dtype) for moved, a in pairs]
        return _gaps(self.best(arrays, dy)[1], want)

    def _jittered(self, array: jax.Array, by: float) -> np.ndarray:
        """Return the array with each element times 1 ± by, or a little less.

        By half of it or less, an element might not move at all: it is rounded back.
        """
        share = self.rng.uniform(0.75, 1, array.shape) * self.rng.choice([-1, 1], array.shape)
        return as_exact(array) * (1 + by * share)

    def _sizes(self, gradients: Arrays) -> list[float]:
        """Estimate the terms that each gradient adds up; they may be larger than their sum."""
        driven = root_mean_square(np.concatenate([as_exact(d).ravel() for d in self.dys[0]]))
        return [root_mean_square(as_exact(g)) + driven for g in gradients]

    @staticmethod
    def _largest(tries: Sequence[Arrays]) -> Arrays:
        return [np.max(gaps, axis=0) for gaps in zip(*tries, strict=True)]

    def allowed(self, leaf: int, want: np.ndarray) -> np.ndarray:
        """Return the error that each element of a gradient may have."""
        rounding = self.tolerance.allowed(sizes(want), self.ulps * self.eps)
        return rounding + self.ulps * self.noise[leaf]

    def off(
        self, leaf: int, got: np.ndarray, want: np.ndarray, allowed: np.ndarray, times: float = 1
    ) -> Mismatch | None:
        """Return where a gradient is off by more than `allowed` plus rounding of the residuals.

        `times` is how many gradients are added up in this one.
        """
        mismatch = compare(got, want, allowed)
        if mismatch is None:
            return None
        return compare(got, want, allowed + times * self.ulps * self._noise_of_saved[leaf])

    def allowed_value(self, want: np.ndarray) -> np.ndarray:
        """Return the error that each element of the value may have."""
        most = 16 * ULPS if self.eps < 1e-12 else self.ulps
        return self.tolerance.allowed(sizes(want), most * self.eps)

    def allowed_again(self, first: np.ndarray) -> np.ndarray:
        """Return how far a gradient may be from that of the same call before: not at all.

        A rule that works in a narrow dtype may add up in another order.
        """
        return (4 * self.eps if self.eps > 1e-12 else 0.0) * sizes(first)

    def allowed_mixture(self, leaf: int, size: np.ndarray, times: float) -> np.ndarray:
        """Return the error that each element of a sum of gradients may have.

        Args:
            leaf: the position of the gradient among the differentiated arguments.
            size: the sum of the gradients' absolute values.
            times: how many gradients are added up, those with a factor counted as often.
        """
        eps = self.linear_eps
        most = 1e3 if eps < 1e-5 else _ulps(eps)
        rounding = self.tolerance.allowed(size + root_mean_square(size), most * eps)
        return rounding + times * _ulps(eps) * self.noise[leaf] * eps / self.eps


def _ulps(eps: float) -> int:
    return ULPS if eps < 1e-5 else NARROW_ULPS if eps < 1e-1 else FEWEST_ULPS


def called_with(function: Function, *, x64: bool) -> Function:
    """Return the function as it runs with x64 on or off.

    JAX remembers the dtype of a NumPy array of integers from calls with the other setting, and then
    complains of mixed dtypes; so the call is repeated after it has forgotten.

    Raises:
        ValueError: JAX does not forget, because a compiled function still holds the array.
    """

    @wraps(function)
    def called(*args: Any) -> Any:
        with jax.enable_x64(x64):
            try:
                return function(*args)
            except TypeError as error:
                if _MIXED not in str(error):
                    raise
            jax.clear_caches()  # not above, because the error holds on to what JAX remembers
            try:
                return function(*args)
            except TypeError as error:
                if _MIXED not in str(error):
                    raise
                raise ValueError(_REMEMBERED) from error

    return called


_MIXED = "same dtypes"
_REMEMBERED = (
    "check_rule: JAX has mixed int64 and int32. The function reads a NumPy array of integers that"
    " another check has read as well, and JAX remembers its dtype. Make it an array of JAX, or copy"
    " it before each check"
)


def _flat(results: tuple[Arrays, Arrays]) -> Arrays:
    return [*results[0], *results[1]]


def _gaps(got: Values, want: Values) -> Arrays:
    """Return the absolute differences; 0 where they are not finite."""
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        gaps = [np.abs(as_exact(g) - as_exact(w)) for g, w in zip(got, want, strict=True)]
    return [np.where(np.isfinite(gap), gap, 0.0) for gap in gaps]


def _smooth(near: np.ndarray, further: np.ndarray, rounding: float) -> np.ndarray:
    """Return the changes `near` that come from bad conditioning, and 0 for those that are jumps.

    A gradient jumps at a kink or a tie. The jump is as high for the larger move (`further`) as for
    the smaller one, while bad conditioning makes the change grow with the move.
    """
    return np.where((near <= rounding) | (further >= 4 * near), near, 0.0)
