"""`Check`: the state of one check, namely the rule, the settings and the report so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function, Values
from jaxconv.check.compare import Mismatch
from jaxconv.check.diagnosis import Evidence, diagnose
from jaxconv.check.leaves import Leaves, Pullback
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Failure, Report
from jaxconv.check.trial import Trial

REFUSALS = (TypeError, ValueError, NotImplementedError)
"""Errors by which a rule says that it does not take a dtype."""


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
        tolerance: the relative error allowed for gradients in float64; None means the default.
        others: arguments of other shapes, which a diagnosis must explain too.
        precedents: answers shared with checks of other rules against the same reference, or None.
        every_oracle: whether autodiff, differences and linearity all run, even if one of them
            fails; each stops at its first failure.
        diagnosed: whether to look for a known mistake that explains a wrong gradient.
        given: the dtype of the arguments; float32 if they have several.
        exact: the trial in float64, or in `given` if the rule does not take float64.
    """

    rule: Function
    reference: Function | None
    args: tuple[Any, ...]
    report: Report
    cotangents: int = 3
    seed: int = 0
    tolerance: float | None = None
    others: Sequence[Values] = ()
    precedents: Precedents | None = None
    every_oracle: bool = False
    diagnosed: bool = True
    given: Any = field(init=False)
    exact: Trial = field(init=False)

    def __post_init__(self) -> None:
        given = {jnp.dtype(leaf.dtype) for leaf in Leaves.of(self.args).arrays}
        self.given = given.pop() if len(given) == 1 else jnp.dtype(jnp.float32)
        try:
            self.exact = self._tried(jnp.float64, None)
        except REFUSALS:
            try:
                self.exact = self._tried(self.given, None)
            except Exception as error:
                raise ValueError(
                    f"check_rule: {self.report.name} cannot be called with these arguments: {error}"
                ) from error
            if self.given != jnp.float64:
                self.note(f"the rule does not take float64; tried in {self.given} alone")

    def trial(self, dtype: DType) -> Trial | None:
        """Return a trial in this dtype with the truth compiled already; None if it is refused."""
        try:
            return self._tried(dtype, self.exact.truth)
        except REFUSALS:
            return None

    def _tried(self, dtype: DType, truth: Pullback | None) -> Trial:
        return Trial(
            self.rule, self.reference, self.args, dtype, self.cotangents, self.seed,
            truth, self.precedents,
        )  # fmt: skip

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
        **numbers: float,
    ) -> None:
        """Report a failure in words; `numbers` are further fields of the `Failure`."""
        message = _head(oracle, trial, transform) + what
        self._add(argument, oracle, message, transform, trial, **numbers)

    def fail_where(
        self,
        mismatch: Mismatch,
        argument: str,
        oracle: str,
        trial: Trial,
        what: str,
        *,
        transform: str = "",
        evidence: Evidence | None = None,
    ) -> None:
        """Report which elements are off, and which mistake explains them if there is evidence."""
        worst = mismatch
        size, off = worst.off.size, int(worst.off.sum())
        message = (
            f"{_head(oracle, trial, transform)}{what}{list(worst.index)} is {worst.got:.8g},"
            f" expected {worst.expected:.8g} (error {worst.error:.2g}, relative"
            f" {worst.relative:.2g}); {off:,} of {size:,} off: {worst.where}"
        )
        self._add(
            argument, oracle, message, transform, trial,
            index=worst.index, got=worst.got, expected=worst.expected, error=worst.error,
            relative=worst.relative, off=off, size=size, where=worst.where,
            diagnosis=diagnose(evidence) if evidence is not None and self.diagnosed else None,
        )  # fmt: skip

    def _add(
        self, argument: str, oracle: str, message: str, transform: str, trial: Trial, **rest: Any
    ) -> None:
        self.report.failures.append(
            Failure(argument, oracle, message, transform=transform, dtype=trial.dtype.name, **rest)
        )


def _head(oracle: str, trial: Trial, transform: str) -> str:
    under = f" under {transform}" if transform else ""
    return f"[{oracle}, {trial.dtype.name}{under}] "


def first_line(error: Exception) -> str:
    """Return the type and the first line of an error, for a message."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
