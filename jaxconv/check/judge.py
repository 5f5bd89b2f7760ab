"""`check_rule`: every oracle asked, in the order in which their answers build on each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check import transforms as transformed
from jaxconv.check.case import ON_REQUEST, TRANSFORMS
from jaxconv.check.compare import Mismatch, compare
from jaxconv.check.costs import compared_costs
from jaxconv.check.diagnosis import Evidence, Observation, diagnose, smaller
from jaxconv.check.differences import ELEMENTWISE, Differences
from jaxconv.check.leaves import Leaves, is_float
from jaxconv.check.report import Failure, Report
from jaxconv.check.trial import Arrays, Precedents, Trial, as_float64, widen

NUDGE = 0.02


def check_rule(
    rule: Callable[..., Any],
    args: Sequence[Any],
    reference: Callable[..., Any] | None = None,
    *,
    cotangents: int = 3,
    key: Any = 0,
    tolerance: float | None = None,
    transforms: Sequence[str] = TRANSFORMS,
    finite_differences: bool = True,
    name: str | None = None,
    others: Sequence[Sequence[Any]] = (),
    costs: bool = False,
) -> Report:
    """Put the gradient of `rule` at `args` on trial.

    Held against: the value and the gradients of `reference`, element by element, for several
    random cotangents, in float64 and in the dtype of the arguments; central differences of the
    rule's own forward pass; linearity in the cotangent; shapes and dtypes; itself, called twice.
    Then again under the transformations. A point at a kink or a tie is recognised, noted and moved
    away from. A wrong gradient is fitted against known mistakes.

    Args:
        rule: any callable that JAX can differentiate in reverse mode.
        args: its positional arguments, any pytrees. Floating-point arrays are differentiated;
            integers, booleans, keys, Python's numbers and None are not.
        reference: a callable of the same arguments and meaning, differentiated by JAX.
        cotangents: how many random cotangents are tried.
        key: the seed they are drawn from, an int or a `jax.random.key`.
        tolerance: relative error that is allowed in float64; None is 64 units in the last place
            and what the conditioning of the problem adds.
        transforms: of "jit", "vmap", "scan", "checkpoint", "second_order"; and "shard_map".
        finite_differences: whether to ask them.
        name: what the report calls the rule.
        others: further arguments, of other shapes, on which a diagnosis must hold too.
        costs: whether to say what rule and reference cost, in `Report.costs`.

    Returns:
        A `Report`: `.ok`, `.failures`, `.raise_if_failed()`.

    Raises:
        TypeError: rule or reference cannot be called, or args is no sequence.
        ValueError: nothing to differentiate, an unknown transformation, or a rule and a reference
            that cannot be called with these arguments.
    """
    _check_usage(rule, reference, args, cotangents, transforms)
    called = name or str(getattr(rule, "__name__", type(rule).__name__))
    with jax.enable_x64(True):
        court = _Court(rule, reference, args, cotangents, _seed(key), tolerance, called)
        court.others = [tuple(more) for more in others]
        court.try_in_float64(finite_differences)
        court.try_as_given()
        if not court.report.failures:
            court.try_transformed(transforms)
        if costs:
            court.report.costs = compared_costs(rule, reference, args)
    return court.report


def try_gradient(
    rule: Callable[..., Any],
    args: Sequence[Any],
    precedents: Precedents,
    others: Sequence[Sequence[Any]],
    *,
    diagnosed: bool,
    name: str,
) -> Report:
    """The part of `check_rule` that is cheap if asked of many rules: in float64, no differences.

    It ends with the first argument whose gradient is wrong.
    """
    with jax.enable_x64(True):
        court = _Court(rule, precedents.reference, args, 3, 0, None, name, precedents)
        court.others = [tuple(more) for more in others]
        court.diagnosed = diagnosed
        court.try_in_float64(finite_differences=False)
    return court.report


class _Court:
    def __init__(
        self,
        rule: Callable[..., Any],
        reference: Callable[..., Any] | None,
        args: Sequence[Any],
        cotangents: int,
        seed: int,
        tolerance: float | None,
        name: str,
        precedents: Precedents | None = None,
    ):
        self.rule, self.reference, self.args = rule, reference, tuple(args)
        self.precedents, self.diagnosed = precedents, True
        self.cotangents, self.seed, self.tolerance = cotangents, seed, tolerance
        self.report = Report(name)
        self.others: list[tuple[Any, ...]] = []
        given = {jnp.dtype(leaf.dtype) for leaf in Leaves.of(args).arrays}
        self.given = given.pop() if len(given) == 1 else jnp.dtype(jnp.float32)
        self.exact: Any = None
        self.exact = self._trial(jnp.float64) or self._trial(self.given)
        if self.exact is None:
            self._explain_refusal()
        if self.exact.dtype != jnp.float64:
            self.report.notes.append(f"the rule does not take float64; tried in {self.given} alone")

    def _trial(self, dtype: Any) -> Any:
        try:
            return Trial(
                self.rule, self.reference, self.args, dtype, self.cotangents, self.seed,
                getattr(self.exact, "truth", None), self.precedents,
            )  # fmt: skip
        except (TypeError, ValueError, NotImplementedError):
            return None

    def _explain_refusal(self) -> None:
        """Call the rule once more for the error it gives, and make that the answer."""
        try:
            Trial(self.rule, None, self.args, self.given, 1, self.seed)
        except Exception as error:
            raise ValueError(
                f"check_rule: {self.report.name} cannot be called with these arguments: {error}"
            ) from error

    # In float64.

    def try_in_float64(self, finite_differences: bool) -> None:
        """Value, gradients, differences, linearity, determinism."""
        trial = self.exact
        assert trial is not None
        if not self._same_outputs(trial):
            return
        elsewhere = self._deterministic(trial)
        if elsewhere is None:
            return
        gradients = self._gradients(trial)
        if gradients is None:
            return
        aside = self._on_kinks(trial, gradients)
        if aside:
            self._step_aside()
            trial = self.exact
            gradients = self._gradients(trial)
            if gradients is None:
                return
        if trial.truth is not None:
            self._against_autodiff(trial, gradients)
        if finite_differences and not self.report.failures:
            self._against_differences(trial, gradients)
        if not self.report.failures:
            self._linear(trial, gradients)
            if trial.truth is not None and not aside:
                self._beside(trial, *elsewhere)

    def _same_outputs(self, trial: Trial) -> bool:
        """The value: structure, shapes, dtypes and numbers of rule and reference."""
        if self.reference is None:
            return True
        args = trial.leaves.args(trial.leaves.arrays)
        got = self.rule(*args)
        try:
            want = self.reference(*args)
        except Exception as error:
            raise ValueError(
                f"check_rule: the reference cannot be called with these arguments: {error}"
            ) from error
        self.report.checks += 1
        forms = [
            jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf).name), y)
            for y in (got, want)
        ]
        if forms[0] != forms[1]:
            self._fail("", "value", trial, f"the value has the form {forms[0]}, not {forms[1]}")
            return False
        for number, (g, w) in enumerate(zip(*map(jax.tree.leaves, (got, want)), strict=True)):
            g, w = _plain(g), _plain(w)
            allowed = trial.allowed_value(w)
            mismatch = compare(g, w, allowed)
            if mismatch is not None:
                where = "" if len(jax.tree.leaves(got)) == 1 else f" {number}"
                self._fail("", "value", trial, f"value{where}", mismatch)
        return not self.report.failures

    def _gradients(self, trial: Trial) -> list[Arrays] | None:
        """The gradients of the rule for every cotangent, or None after a failure."""
        try:
            found = [trial.pull(trial.leaves.arrays, dy)[1] for dy in trial.dys]
        except Exception as error:
            self._fail("", "structure", trial, f"the backward pass fails: {_first_line(error)}")
            return None
        for name, leaf, got in zip(trial.leaves.names, trial.leaves.arrays, found[0], strict=True):
            self.report.checks += 1
            if got.shape != leaf.shape or got.dtype != leaf.dtype:
                self._fail(
                    name, "structure", trial,
                    f"the gradient is {got.dtype}{list(got.shape)},"
                    f" the argument {leaf.dtype}{list(leaf.shape)}",
                )  # fmt: skip
                return None
        return found

    def _on_kinks(self, trial: Trial, gradients: list[Arrays]) -> bool:
        """Whether what disagrees with autodiff does so only where the slope is no one number."""
        if trial.truth is None or trial.dtype != jnp.float64:
            return False
        arrays, seen = widen(trial.leaves.arrays), False
        for dy, got in zip(trial.dys[:1], gradients, strict=False):
            want = trial.truth(arrays, dy)[1]
            for leaf, (g, w) in enumerate(
                zip(map(as_float64, got), map(as_float64, want), strict=True)
            ):
                mismatch = compare(g, w, trial.allowed(leaf, w, self.tolerance))
                if mismatch is None:
                    continue
                indices = np.argwhere(mismatch.off)
                few = indices[:: max(1, len(indices) // 8)][:8]
                if not all(
                    self._differences.is_kink(arrays, widen(dy), leaf, tuple(index))
                    for index in few
                ):
                    return False
                seen = True
                first = tuple(int(i) for i in indices[0])
                self.report.notes.append(
                    f"{trial.leaves.names[leaf]}{list(first)} is at a kink or a tie: the rule says"
                    f" {g[first]:.6g}, autodiff {w[first]:.6g}; tried beside it instead"
                )
        return seen

    def _step_aside(self) -> None:
        """Move every array a little, off whatever kinks it is on."""
        rng = np.random.default_rng(self.seed + 1)
        leaves = Leaves.of(self.args)
        moved = []
        for array in leaves.arrays:
            x = as_float64(array)
            size = np.sqrt(np.mean(x[np.isfinite(x)] ** 2)) if np.isfinite(x).any() else 1.0
            x = x + NUDGE * (size or 1.0) * rng.uniform(-1, 1, x.shape)
            moved.append(jnp.asarray(x).astype(array.dtype))
        self.args = leaves.args(moved)
        self.__dict__.pop("_differences_cache", None)
        self.exact = self._trial(jnp.float64)

    @property
    def _differences(self) -> Differences:
        cache = self.__dict__
        if "_differences_cache" not in cache:
            cache["_differences_cache"] = (
                Differences(self.exact.exact.bind(self.rule))
                if self.precedents is None
                else self.precedents.differences(self.exact.exact)
            )
        return cache["_differences_cache"]

    def _against_autodiff(self, trial: Trial, gradients: list[Arrays]) -> None:
        assert trial.truth is not None
        arrays = widen(trial.leaves.arrays)
        want = [trial.truth(arrays, dy)[1] for dy in trial.dys]
        for leaf, name in enumerate(trial.leaves.names):
            for got_all, want_all in zip(gradients, want, strict=True):
                self.report.checks += 1
                g, w = as_float64(got_all[leaf]), as_float64(want_all[leaf])
                if np.isnan(w).any() and not np.isnan(g).all():
                    self._note_nan(name)
                    w = np.where(np.isnan(w), g, w)
                mismatch = compare(g, w, trial.allowed(leaf, w, self.tolerance))
                if mismatch is not None:
                    self._fail(
                        name, "autodiff", trial, f"d({name})", mismatch,
                        self._evidence(trial, leaf, gradients) if self.diagnosed else None,
                    )  # fmt: skip
                    if self.precedents is not None:
                        return
                    break

    def _note_nan(self, name: str) -> None:
        note = f"autodiff of the reference is NaN in parts of d({name}); left to differences there"
        if note not in self.report.notes:
            self.report.notes.append(note)

    def _evidence(self, trial: Trial, leaf: int, gradients: list[Arrays]) -> Evidence:
        """What the mistake can be told from: several cotangents, several shapes."""
        observations = [
            Observation.of(trial, dy, got) for dy, got in zip(trial.dys, gradients, strict=True)
        ]
        for args in self.others or smaller(self.args):
            seen = self._observed(args, trial.dtype)
            if seen is not None and len(seen.arrays) == len(trial.leaves.names):
                observations.append(seen)
            if len(observations) == len(trial.dys) + 2:
                break
        exact = max(1e-9, 100 * float(jnp.finfo(trial.dtype).eps))
        return Evidence(leaf, trial.leaves.names, observations, exact)

    def _observed(self, args: tuple[Any, ...], dtype: Any) -> Observation | None:
        """The rule and the truth at other arguments; None where they do not mean the same."""
        try:
            other = Trial(
                self.rule, self.reference, args, dtype, 1, self.seed + 7, None, self.precedents
            )
            assert other.truth is not None
            dy = other.dys[0]
            seen = Observation.of(other, dy, other.pull(other.leaves.arrays, dy)[1])
            right = other.truth(other.leaves.arrays, dy)[0]
        except Exception:
            return None
        for y, r in zip(seen.y, map(as_float64, right), strict=True):
            if compare(y, r, other.allowed_value(r)) is not None or not y.size:
                return None
        return seen

    def _against_differences(self, trial: Trial, gradients: list[Arrays]) -> None:
        if trial.dtype != jnp.float64:
            self.report.notes.append("differences need float64, which the rule does not take")
            return
        arrays, dy, got = trial.leaves.arrays, trial.dys[0], gradients[0]
        for leaf, name in enumerate(trial.leaves.names):
            x, g = as_float64(arrays[leaf]), as_float64(got[leaf])
            if not x.size or not np.isfinite(g).all():
                continue
            for _ in range(2):
                v = self.exact.rng.standard_normal(x.shape)
                slope = self._differences.slope(arrays, dy, leaf, v)
                self.report.checks += 1
                size = float(np.sqrt(np.sum((g * v) ** 2))) + abs(slope.value)
                trusted = 20 * slope.error + 1e-7 * size
                if not np.isfinite(slope.error) or slope.error > 0.01 * size + 1e-9:
                    self.report.notes.append(f"differences cannot tell d({name}): a kink is near")
                    break
                if not abs(float(np.sum(g * v)) - slope.value) <= trusted:
                    self._fail_by_differences(trial, leaf, gradients, v, slope.value)
                    break

    def _fail_by_differences(
        self, trial: Trial, leaf: int, gradients: list[Arrays], v: np.ndarray, slope: float
    ) -> None:
        """Element by element where that is affordable; else along the direction."""
        name, arrays = trial.leaves.names[leaf], trial.leaves.arrays
        got = as_float64(gradients[0][leaf])
        if got.size > ELEMENTWISE or trial.truth is not None:
            along = float(np.sum(got * v))
            self._fail(
                name, "differences", trial,
                f"d({name}) along a random direction is {along:.8g}, differences say {slope:.8g}",
                error=abs(along - slope), got=along, expected=slope,
            )  # fmt: skip
            return
        observations = []
        for dy, all_got in zip(trial.dys, gradients, strict=True):
            want = [as_float64(g) for g in all_got]
            for other in range(len(want)):
                if want[other].size <= ELEMENTWISE:
                    want[other] = self._differences_of(arrays, dy, other)
            observations.append(Observation.with_want(trial, dy, all_got, want))
        slopes = observations[0].want[leaf]
        typical = np.sqrt(np.mean(slopes**2))
        mismatch = compare(got, slopes, 1e-6 * (np.abs(slopes) + typical))
        if mismatch is not None:
            evidence = Evidence(leaf, trial.leaves.names, observations, exact=1e-5)
            self._fail(name, "differences", trial, f"d({name})", mismatch, evidence)

    def _differences_of(self, arrays: Arrays, dy: Arrays, leaf: int) -> np.ndarray:
        x = as_float64(arrays[leaf])
        gradient = np.zeros_like(x)
        for index in np.ndindex(*x.shape):
            v = np.zeros_like(x)
            v[index] = 1
            gradient[index] = self._differences.slope(arrays, dy, leaf, v).value
        return gradient

    def _linear(self, trial: Trial, gradients: list[Arrays]) -> None:
        """pull(2·dy₁ − 3·dy₂) = 2·pull(dy₁) − 3·pull(dy₂)."""
        if len(trial.dys) < 2:
            return
        mixed = [2 * a - 3 * b for a, b in zip(*trial.dys[:2], strict=True)]
        got = trial.pull(trial.leaves.arrays, mixed)[1]
        for name, g, first, second in zip(trial.leaves.names, got, *gradients[:2], strict=True):
            self.report.checks += 1
            first, second = as_float64(first), as_float64(second)
            want = 2 * first - 3 * second
            eps = float(jnp.finfo(trial.dtype).eps)
            size = np.abs(2 * first) + np.abs(3 * second)
            allowed = 1e3 * eps * (size + np.sqrt(np.mean(size**2) if size.size else 0.0))
            mismatch = compare(as_float64(g), want, allowed)
            if mismatch is not None:
                self._fail(name, "linearity", trial, f"d({name}) of a sum of cotangents", mismatch)

    def _deterministic(self, trial: Trial) -> tuple[Arrays, Arrays] | None:
        """The same bits twice, also if another call came between forward and backward pass.

        Asked before anything is compiled: what a rule keeps beside JAX would be a tracer then.

        Returns:
            The other call's arguments and gradients, or None after a failure.
        """
        arrays, dy = trial.leaves.arrays, trial.dys[0]
        # By a factor of its own for each element: one for all would be told as that factor.
        rng = np.random.default_rng(self.seed + 3)
        moved = [a * jnp.asarray(rng.uniform(1.005, 1.015, a.shape), a.dtype) for a in arrays]
        try:
            _, once = trial.eager(arrays, dy)
            _, pull = jax.vjp(trial.bound, *arrays)
            _, pull_moved = jax.vjp(trial.bound, *moved)
            again, beside = list(pull(dy)), list(pull_moved(dy))
        except Exception as error:
            self._fail("", "structure", trial, f"the backward pass fails: {_first_line(error)}")
            return None
        for leaf, name in enumerate(trial.leaves.names):
            self.report.checks += 1
            g, first = as_float64(again[leaf]), as_float64(once[leaf])
            if g.shape != first.shape:
                continue  # a form that changes is told elsewhere
            mismatch = compare(g, first, np.zeros_like(first))
            if mismatch is not None:
                evidence = None
                if trial.truth is not None:
                    seen = replace(Observation.of(trial, dy, again), earlier=widen(moved))
                    evidence = Evidence(leaf, trial.leaves.names, [seen])
                self._fail(
                    name, "determinism", trial, f"d({name}), asked again,", mismatch, evidence
                )  # fmt: skip
        return None if self.report.failures else (moved, beside)

    def _beside(self, trial: Trial, moved: Arrays, got: Arrays) -> None:
        """The call after the first one, elsewhere: what is saved must not be the first one's."""
        assert trial.truth is not None
        dy, y = trial.dys[0], trial.bound(*moved)
        want = [as_float64(w) for w in trial.truth(moved, dy)[1]]
        arrays, dy, y, got = ([as_float64(a) for a in group] for group in (moved, dy, y, got))
        seen = Observation(arrays, dy, y, got, want, trial.truth, widen(trial.leaves.arrays))
        for leaf, name in enumerate(trial.leaves.names):
            self.report.checks += 1
            w = np.where(np.isnan(want[leaf]), seen.got[leaf], want[leaf])
            mismatch = compare(seen.got[leaf], w, 4 * trial.allowed(leaf, w, self.tolerance))
            if mismatch is not None:
                evidence = Evidence(leaf, trial.leaves.names, [seen])
                self._fail(name, "determinism", trial, f"d({name}) beside", mismatch, evidence)

    # In the dtype of the arguments.

    def try_as_given(self) -> None:
        """No further from the float64 truth than a few roundings, or than autodiff."""
        if self.given == self.exact.dtype or self.report.failures or self.exact.truth is None:
            return
        trial = self._trial(self.given)
        if trial is None:
            self.report.notes.append(f"the rule does not take {self.given}")
            return
        gradients = self._gradients(trial)
        if gradients is None:
            return
        arrays = trial.leaves.arrays
        for dy, got_all in zip(trial.dys, gradients, strict=True):
            want_all = trial.truth(arrays, dy)[1]
            autodiff = trial.autodiff(arrays, dy)[1]
            for leaf, name in enumerate(trial.leaves.names):
                self.report.checks += 1
                g, w = as_float64(got_all[leaf]), as_float64(want_all[leaf])
                w = np.where(np.isnan(w), g, w)
                theirs = np.abs(as_float64(autodiff[leaf]) - w)
                theirs = np.max(theirs[np.isfinite(theirs)], initial=0.0)
                allowed = trial.allowed(leaf, w, None) / 4 + 4 * theirs
                mismatch = compare(g, w, allowed)
                if mismatch is not None and not self._given_kink(trial, leaf, mismatch):
                    self._fail(name, "autodiff", trial, f"d({name})", mismatch)
        del self.report.failures[8:]

    def _given_kink(self, trial: Trial, leaf: int, mismatch: Mismatch) -> bool:
        """Rounding may send a maximum the other way; a narrow dtype makes ties."""
        arrays, dy = widen(trial.leaves.arrays), widen(trial.dys[0])
        differences = Differences(trial.exact.bind(self.rule))
        indices = np.argwhere(mismatch.off)[:8]
        return all(differences.is_kink(arrays, dy, leaf, tuple(index)) for index in indices)

    # Under the transformations.

    def try_transformed(self, names: Sequence[str]) -> None:
        """Each transformation against the truth, or against the rule without it."""
        trial = self.exact
        for name in names:
            try:
                outcomes = list(transformed.ASK[name](trial))
            except Exception as error:
                self._fail("", "autodiff", trial, f"it fails: {_first_line(error)}", transform=name)
                continue
            for leaf, got, want, allowed in outcomes:
                self.report.checks += 1
                mismatch = compare(got, want, allowed)
                if mismatch is not None:
                    path = leaf if isinstance(leaf, str) else trial.leaves.names[leaf]
                    self._fail(path, "autodiff", trial, f"d({path})", mismatch, transform=name)
                    break

    def _fail(
        self,
        argument: str,
        oracle: str,
        trial: Trial,
        what: str,
        mismatch: Mismatch | None = None,
        evidence: Evidence | None = None,
        *,
        transform: str = "",
        error: float = float("nan"),
        got: float | None = None,
        expected: float | None = None,
    ) -> None:
        under = f" under {transform}" if transform else ""
        head = f"[{oracle}, {trial.dtype.name}{under}] {what}"
        if mismatch is None:
            self.report.failures.append(
                Failure(
                    argument,
                    oracle,
                    head,
                    error=error,
                    got=got,
                    expected=expected,
                    transform=transform,
                    dtype=trial.dtype.name,
                )
            )
            return
        size, off = mismatch.off.size, int(mismatch.off.sum())
        message = (
            f"{head}{list(mismatch.index)} is {mismatch.got:.8g}, expected {mismatch.expected:.8g}"
            f" (error {mismatch.error:.2g}, relative {mismatch.relative:.2g});"
            f" {off:,} of {size:,} off: {mismatch.where}"
        )
        self.report.failures.append(
            Failure(
                argument,
                oracle,
                message,
                mismatch.index,
                mismatch.got,
                mismatch.expected,
                mismatch.error,
                mismatch.relative,
                off,
                size,
                mismatch.where,
                transform,
                trial.dtype.name,
                None if evidence is None else diagnose(evidence),
            )
        )


def _check_usage(
    rule: Any, reference: Any, args: Any, cotangents: Any, transforms: Sequence[str]
) -> None:
    for what, function in (("rule", rule), ("reference", reference)):
        if not callable(function) and not (what == "reference" and function is None):
            raise TypeError(f"check_rule: {what} must be callable, but {function!r:.60} came")
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_rule: args must be a tuple or a list, but {args!r:.60} came")
    if not any(is_float(leaf) for leaf in jax.tree.leaves(tuple(args))):
        raise ValueError("check_rule: args hold no floating-point array, nothing to differentiate")
    if not isinstance(cotangents, int) or cotangents < 1:
        raise ValueError(
            f"check_rule: cotangents must be an int of 1 or more, but {cotangents!r} came"
        )
    known = (*TRANSFORMS, *ON_REQUEST)
    for name in transforms:
        if name not in known:
            expected = ", ".join(map(repr, known))
            raise ValueError(f"check_rule: transforms must be of {expected}, but {name!r} came")


def _seed(key: Any) -> int:
    if isinstance(key, (int, np.integer)):
        return int(key)
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return int(np.asarray(data).ravel()[-1])


def _plain(leaf: Any) -> np.ndarray:
    leaf = jnp.asarray(leaf)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf.astype(jnp.float64) if is_float(leaf) else leaf).astype(float)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
