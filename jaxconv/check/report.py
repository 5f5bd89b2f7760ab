"""The report of the gradient checker: failures, their diagnoses, notes and costs."""

import json
import math
import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

from jaxconv._core.types import Json
from jaxconv.check.explanations import EXPLANATIONS


class GradientError(AssertionError):
    """Raised for a rule that failed a check; its message is the whole report."""


@dataclass(frozen=True)
class Diagnosis:
    """The known mistake that explains a wrong gradient.

    Attributes:
        name: a stable identifier, like "spatially_flipped".
        sentence: the mistake in words, with its numbers.
        residual: the error that the mistake does not explain, relative to the gradient.
        page: the section of the documentation that explains the mistake.
    """

    name: str
    sentence: str
    residual: float
    page: str = ""

    @property
    def why(self) -> str:
        """How the mistake happens; "" for a mistake that the user registered."""
        return EXPLANATIONS.get(self.name, "")

    def __str__(self) -> str:
        """Return the mistake, how it happens, and where more about it is found."""
        why = textwrap.wrap(self.why, 94, initial_indent="  ", subsequent_indent="  ")
        page = [f"  {self.page}"] if self.page else []
        return "\n".join([f"{self.name}: {self.sentence}", *why, *page])


@dataclass(frozen=True)
class Failure:
    """One check that failed.

    Attributes:
        argument: the path of the gradient in the argument tree, with the name that the argument
            has in the rule: "params['w']". An argument without a name is "args[1]". "" stands for
            the value.
        index: the index of the worst element.
        got: the rule's value of that element.
        expected: the oracle's value of that element.
        error: |got − expected| of that element.
        relative: the error relative to the expected value.
        off: how many elements are off, out of `size`.
        size: how many elements there are.
        where: the positions of the elements that are off, in words.
        oracle: the name of the oracle that failed.
        transform: the transformation under which it failed; "" for none.
        dtype: the dtype in which it failed.
        message: everything above in one line.
        diagnosis: the mistake that explains the failure, or None.
    """

    argument: str
    oracle: str
    message: str
    index: tuple[int, ...] | None = None
    got: float | complex | None = None
    expected: float | complex | None = None
    error: float = math.nan
    relative: float = math.nan
    off: int = 0
    size: int = 0
    where: str = ""
    transform: str = ""
    dtype: str = ""
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True)
class Costs:
    """What one compiled forward and backward pass costs.

    Figures that the compiler does not report are None.

    Attributes:
        residual_bytes: bytes kept for the backward pass; each array counts once.
        flops: floating-point operations, as the compiler counts them.
        bytes_accessed: bytes read and written.
        temporary_bytes: memory for arrays that are neither arguments nor results.
    """

    residual_bytes: int
    flops: float | None
    bytes_accessed: float | None
    temporary_bytes: int | None


@dataclass
class Report:
    """The result of checking one call of one rule.

    Attributes:
        name: the name of the case.
        failures: the checks that failed; empty if all passed.
        notes: remarks that are no failures: kinks, oracles that could not be applied.
        checks: how many comparisons were made.
        defined: where the rule is defined: "rules.py:12, and its backward pass in rules.py:20".
        costs: the costs of "rule" and "reference"; empty unless `--costs` was given.
        reproduce: a command that runs the smallest call that still fails; "" if there is none.
        levels: for each level that was asked, such as "gradient", "vmap" or "forward_over_reverse",
            "holds", "does not hold", "is missing" or "cannot be told".
    """

    name: str
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: int = 0
    costs: dict[str, Costs] = field(default_factory=dict)
    reproduce: str = ""
    levels: dict[str, str] = field(default_factory=dict)
    defined: str = ""

    @property
    def ok(self) -> bool:
        """Whether all checks passed."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise `GradientError` with this report unless all checks passed."""
        if not self.ok:
            raise GradientError(str(self))

    def to_dict(self) -> Json:
        """Return the report as plain data; what JSON lacks, NaN, ±∞ and complex, as strings."""
        return {"ok": self.ok} | _plain(asdict(self))

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @property
    def head(self) -> str:
        """The result in one line."""
        return f"{self.name}: {'holds' if self.ok else 'does not hold'} ({self.checks} comparisons)"

    @property
    def remarks(self) -> list[str]:
        """Notes, the smallest failing call and the costs, one line each."""
        lines = []
        for verdict in dict.fromkeys(self.levels.values()):
            levels = [level for level, found in self.levels.items() if found == verdict]
            lines.append(f"{verdict}: {', '.join(levels)}")
        lines += [f"note: {note}" for note in self.notes]
        if self.reproduce:
            lines.append(f"smallest failing call: {self.reproduce}")
        return lines + [f"{name}: {_costs(costs)}" for name, costs in self.costs.items()]

    def __str__(self) -> str:
        """Return the report as plain text."""
        lines = [self.head]
        for failure in self.failures:
            lines.append(f"  {failure.message}")
            if failure.diagnosis is not None:
                lines.append(textwrap.indent(str(failure.diagnosis), "    "))
        if self.failures and self.defined:
            lines.append(f"  defined in {self.defined}")
        return "\n".join(lines + [f"  {remark}" for remark in self.remarks])


def _costs(costs: Costs) -> str:
    parts = [f"{costs.residual_bytes:,} residual bytes"]
    for number, what in (
        (costs.flops, "flops"),
        (costs.bytes_accessed, "bytes accessed"),
        (costs.temporary_bytes, "temporary bytes"),
    ):
        if number is not None:
            parts.append(f"{number:,.0f} {what}")
    return ", ".join(parts)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value
