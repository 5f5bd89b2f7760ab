"""What the court found: failures, what they mean, and what was tried."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any


class GradientError(AssertionError):
    """A rule does not hold; the report says where and why."""


@dataclass(frozen=True)
class Diagnosis:
    """Which mistake explains a wrong gradient.

    Attributes:
        name: a stable identifier, like "spatially_flipped".
        sentence: the same for people, with the numbers.
        residual: the error that is left once the mistake is undone, relative to the gradient.
        page: where the derivation explains it.
    """

    name: str
    sentence: str
    residual: float
    page: str = ""

    def __str__(self) -> str:
        page = f" ({self.page})" if self.page else ""
        return f"{self.name}: {self.sentence}{page}"


@dataclass(frozen=True)
class Failure:
    """One thing that does not hold.

    Attributes:
        argument: the path of the gradient in the argument tree, "args[1]['w']"; "" for the value.
        index: of the worst element.
        got: that element.
        expected: what the oracle says.
        error: |got − expected| there.
        relative: the same, relative to what was expected.
        off: how many elements are off, of `size`.
        size: how many elements there are.
        where: where they sit, in words.
        oracle: what it was held against.
        transform: the transformation it happened under; "" for none.
        dtype: in which dtype.
        message: all of it in one line.
        diagnosis: the mistake that explains it, or None.
    """

    argument: str
    oracle: str
    message: str
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
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
    """What a rule and its reference cost, forward and backward, compiled.

    Attributes:
        residual_bytes: kept for the backward pass, each array once.
        flops: floating-point operations, as the compiler counts them; None where it does not.
        bytes_accessed: read and written.
        temporary_bytes: memory for what is neither argument nor result.
    """

    residual_bytes: int
    flops: float | None
    bytes_accessed: float | None
    temporary_bytes: int | None


@dataclass
class Report:
    """The verdict on one call of one rule.

    Attributes:
        name: of the case.
        failures: what does not hold; empty if all does.
        notes: what is no failure but good to know: kinks, oracles that could not be asked.
        checks: how many comparisons were made.
        costs: of "rule" and "reference", where they were asked for.
        reproduce: a line that runs the smallest call that still fails, if there is one.
    """

    name: str
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: int = 0
    costs: dict[str, Costs] = field(default_factory=dict)
    reproduce: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise `GradientError` with this report, unless all holds."""
        if not self.ok:
            raise GradientError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data; numbers that JSON does not know are strings."""
        return {"ok": self.ok} | _plain(asdict(self))

    def to_json(self) -> str:
        """The report for machines."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @property
    def head(self) -> str:
        """The verdict in a line."""
        return f"{self.name}: {'holds' if self.ok else 'does not hold'} ({self.checks} comparisons)"

    @property
    def remarks(self) -> list[str]:
        """What there is to say beside what failed."""
        lines = [f"note: {note}" for note in self.notes]
        if self.reproduce:
            lines.append(f"smallest failing call: {self.reproduce}")
        return lines + [f"{name}: {_costs(costs)}" for name, costs in self.costs.items()]

    def __str__(self) -> str:
        """The report as plain text."""
        lines = [self.head]
        for failure in self.failures:
            lines.append(f"  {failure.message}")
            if failure.diagnosis is not None:
                lines.append(f"    {failure.diagnosis}")
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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
