"""`Check`: the state of one check, namely the rule, the settings and the report so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function, Values
from jaxconv.check.compare import Mismatch
from jaxconv.check.diagnosis import Evidence, diagnose
from jaxconv.check.domains import Domain
from jaxconv.check.leaves import Leaves, Pullback
from jaxconv.check.levels import FAILS, HOLDS, IS_MISSING, required
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Diagnosis, Failure, Report
from jaxconv.check.tolerance import EXACTLY, Tolerance
from jaxconv.check.trial import Trial


class CoarserError(Exception):
    """The rule works in a narrower dtype than it was compared in; the oracles start again."""


@dataclass(eq=False)
class Check:
    """The state that all oracles share: each takes the check and reports its failures to it.

    Attributes:
        rule: the rule that is checked.
        reference: the reference implementation, or None.
        args: the arguments of both; they are moved a little if they lie on a kink.
        report: the report so far.
        cotangents: how many cotangents are drawn.
        seed: the seed of all random numbers.
        tolerance: the errors that the user allows.
        others: arguments of other shapes, which a diagnosis must explain too.
        precedents: answers shared with checks of other rules against the same reference, or None.
        every_oracle: whether autodiff, differences and linearity all run, even if one of them
            fails; each stops at its first failure.
        diagnosed: whether to look for a known mistake that explains a wrong gradient.
        required: the levels that must hold; what is wrong with others is a note.
        x64: whether the user's program has float64; a rule may need that it has not.
        domains: for each leaf of the arguments the domain that it stays in, or None.
        given: the dtype of the arguments; float32 if they have several.
        exact: the trial in float64, or in `given` if the rule does not take float64.
        is_measured: whether the precision in which the rule works has been measured.
    """

    rule: Function
    reference: Function | None
    args: tuple[Any, ...]
    report: Report
    cotangents: int = 3
    seed: int = 0
    tolerance: Tolerance = EXACTLY
    others: Sequence[Values] = ()
    precedents: Precedents | None = None
    every_oracle: bool = False
    diagnosed: bool = True
    required: frozenset[str] = required(None)
    x64: bool = True
    domains: Sequence[Domain | None] = ()
    given: Any = field(init=False)
    exact: Trial = field(init=False)
    is_measured: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        given = {jnp.finfo(leaf.dtype).dtype for leaf in Leaves.of(self.args).arrays}
        self.given = given.pop() if len(given) == 1 else jnp.dtype(jnp.float32)
        try:
            self.exact = self._tried(jnp.float64, None)
        except Exception as refusal:
            self._as_given(refusal)

    def _as_given(self, refusal: Exception | str, who: str = "the rule") -> None:
        """Take the trial in the dtype of the arguments for the exact one."""
        try:
            self.exact = self._tried(self.given, None)
        except Exception as error:
            raise ValueError(
                f"check_rule: {self.report.name} cannot be called with these arguments: {error}"
            ) from error
        if self.given != jnp.float64:
            why = first_line(refusal) if isinstance(refusal, Exception) else refusal
            self.note(f"{who} does not take float64 ({why}); tried in {self.given} alone")
        if self.exact.refusal is not None:
            self.note(
                f"the rule is compared with the gradient of the reference in {self.given}, which is"
                " rounded: the reference does not take float64"
            )

    def tries_given(self, refusal: Exception) -> bool:
        """Whether a reference that refused float64 is tried in the dtype of the arguments."""
        if self.exact.dtype == self.given:
            return False
        self._as_given(refusal, "the reference")
        return True

    def gives_up_float64(self) -> bool:
        """Whether a rule whose gradient has no right form in float64 is tried in its own dtype.

        Only a program with x64 off has rules that need not work in float64.
        """
        (failure, *_) = self.report.failures
        if failure.oracle != "structure" or self.x64 or self.exact.dtype == self.given:
            return False
        self.start_again(self.report.notes)
        self._as_given(failure.message.partition("] ")[2])
        return True

    def trial(self, dtype: DType) -> Trial | None:
        """Return a trial in this dtype with the truth compiled already; None if it is refused."""
        try:
            trial = self._tried(dtype, self.exact.truth)
        except Exception:
            return None
        trial.eps = max(trial.eps, self.exact.eps)
        trial.linear_eps = max(trial.linear_eps, self.exact.linear_eps)
        return trial

    def trial_of(self, reference: Function) -> Trial | None:
        """Return a copy of the exact trial with this reference; None if it cannot be called."""
        try:
            trial = Trial(
                self.rule, reference, self.args, self.exact.dtype, self.cotangents, self.seed,
                tolerance=self.tolerance, x64=self.x64, domains=self.domains,
            )  # fmt: skip
        except Exception:
            return None
        return trial

    def _tried(self, dtype: DType, truth: Pullback | None) -> Trial:
        return Trial(
            self.rule, self.reference, self.args, dtype, self.cotangents, self.seed,
            truth, self.precedents, self.tolerance, self.x64 or dtype == jnp.float64,
            self.domains,
        )  # fmt: skip

    def measure(self) -> None:
        """Measure the precision of a rule that seems to be wrong.

        Most rules work in the dtype of their arguments, so nothing is measured before.

        Raises:
            CoarserError: it is a narrower one than that it was compared in.
        """
        if self.is_measured or self.precedents is not None:
            return
        self.is_measured = True
        try:
            is_coarser = self.exact.coarsen(float(jnp.finfo(self.given).eps))
        except Exception:  # what cannot be traced or moved is compared as it was
            return
        if is_coarser:
            bits = {float(jnp.finfo(d).eps): d for d in ("float32", "float16", "bfloat16")}
            raise CoarserError(
                f"it works in {bits.get(self.exact.eps, 'less than float64')} inside:"
                " compared to what that dtype allows"
            )

    @property
    def goes_on(self) -> bool:
        """Whether to run another oracle."""
        return self.report.ok or self.every_oracle

    def note(self, note: str) -> None:
        """Add a note to the report, unless it is there already."""
        if note not in self.report.notes:
            self.report.notes.append(note)

    def fail(
        self,
        argument: str,
        oracle: str,
        trial: Trial,
        what: str,
        *,
        transform: str = "",
        level: str = "",
        is_missing: bool = False,
        **numbers: float,
    ) -> None:
        """Report a failure in words; `numbers` are further fields of the `Failure`."""
        message = _head(oracle, trial, transform) + what
        self._judge(level or transform or _level_of(oracle), IS_MISSING if is_missing else FAILS)
        self._add(argument, oracle, message, transform, trial, level, **numbers)

    def fail_where(
        self,
        mismatch: Mismatch,
        argument: str,
        oracle: str,
        trial: Trial,
        what: str,
        *,
        transform: str = "",
        level: str = "",
        evidence: Evidence | None = None,
        diagnosis: Diagnosis | None = None,
    ) -> None:
        """Report which elements are off, and which mistake explains them.

        The mistake is the diagnosis given, or is looked for if there is evidence.
        """
        self.measure()
        worst = mismatch
        size, off = worst.off.size, int(worst.off.sum())
        message = (
            f"{_head(oracle, trial, transform)}{what}{list(worst.index)} is {worst.got:.8g},"
            f" expected {worst.expected:.8g} (error {worst.error:.2g}, relative"
            f" {worst.relative:.2g}); {off:,} of {size:,} off: {worst.where}"
        )
        if diagnosis is None and evidence is not None and self.diagnosed:
            diagnosis = diagnose(evidence)
        self._judge(level or transform or _level_of(oracle), FAILS)
        self._add(
            argument, oracle, message, transform, trial, level,
            index=worst.index, got=worst.got, expected=worst.expected, error=worst.error,
            relative=worst.relative, off=off, size=size, where=worst.where,
            diagnosis=diagnosis,
        )  # fmt: skip

    def start_again(self, notes: list[str]) -> None:
        """Forget what was found, apart from these notes."""
        self.report.failures.clear()
        self.report.levels.clear()
        self.report.notes[:] = notes

    def holds(self, *levels: str) -> None:
        """Say that these levels hold, except those that were said not to."""
        for level in levels:
            self.report.levels.setdefault(level, HOLDS)

    def _judge(self, level: str, verdict: str) -> None:
        self.report.levels[level] = verdict

    def _add(
        self, argument: str, oracle: str, message: str, transform: str, trial: Trial, level: str,
        **rest: Any,
    ) -> None:  # fmt: skip
        if (level or transform or _level_of(oracle)) not in self.required:
            self.note(message.partition("] ")[2])
            return
        self.report.failures.append(
            Failure(argument, oracle, message, transform=transform, dtype=trial.dtype.name, **rest)
        )


def _level_of(oracle: str) -> str:
    return "value" if oracle == "value" else "gradient"


def _head(oracle: str, trial: Trial, transform: str) -> str:
    under = f" under {transform}" if transform else ""
    return f"[{oracle}, {trial.dtype.name}{under}] "


def first_line(error: Exception) -> str:
    """Return the type and the first line of an error, for a message."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
