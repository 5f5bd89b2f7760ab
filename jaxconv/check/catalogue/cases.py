"""Turn a record's samples into cases for the gradient checker."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxconv._core.types import Function, Values
from jaxconv.check.case import Case
from jaxconv.check.catalogue.record import Record, Sample
from jaxconv.check.levels import LEVELS
from jaxconv.check.naming import signature_of

ONES = (1, (1,), (1, 1), (1, 1, 1))


@dataclass(frozen=True)
class Call:
    """An op as a function of a sample's arrays by position, the differentiated ones first.

    Two calls that differ only in the numbers of their arrays are equal, so that code compiled for
    one serves the other.
    """

    op: Function
    names: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, op: Function, sample: Sample) -> "Call":
        """Return the call of `op` with a sample's options."""
        return cls(op, (*sample.arrays, *sample.fixed), tuple(sample.options.items()))

    @property
    def __signature__(self) -> inspect.Signature:
        """The arrays under their names, for reports."""
        return signature_of(self.names)

    def __call__(self, *arrays: Any) -> Any:
        """Return the output of the op."""
        return self.op(**dict(zip(self.names, arrays, strict=True)), **dict(self.options))


def arguments(sample: Sample) -> tuple[Any, ...]:
    """Return the arguments of the sample's `Call`."""
    return (*sample.arrays.values(), *sample.fixed.values())


def telling(record: Record, count: int, among: int = 40) -> list[int]:
    """Return the numbers of the samples that show most mistakes at the least cost, best first.

    In all of them no array is empty, a single number or near a kink. Preferred are those with at
    least two examples, all optional arguments, few options equal to 1, and small, different sizes.
    """

    def rank(number: int) -> tuple[int, int, int]:
        sample = record.sample(number)
        shapes = [np.shape(a) for a in arguments(sample)]
        idle = sum(value in ONES for value in sample.options.values())
        alone = len(shapes[0]) < 2 or shapes[0][0] == 1
        same = sum(len(shape) - len(set(shape)) for shape in shapes)
        flat = sum(size == 1 for shape in shapes for size in shape)
        total = sum(int(np.prod(shape)) for shape in shapes)
        return 2 * (alone - len(shapes)) + same + flat + idle, max(0, total - 64) // 64, number

    good = []
    for number in range(among):
        sample = record.sample(number)
        if sample.smooth and all(a.size > 1 for a in sample.arrays.values()):
            good.append(number)
    chosen: list[int] = []
    seen: list[object] = []
    for number in sorted(good, key=rank):
        sample = record.sample(number)
        form = (sample.options, [np.shape(a) for a in arguments(sample)])
        if form not in seen:
            seen.append(form)
            chosen.append(number)
    return chosen[:count]


def case_of(record: Record, number: int) -> Case:
    """Return the sample with this number as a case, with the reference implementation."""
    sample = record.sample(number)
    return Case(
        f"{record.name} #{number} {described(sample)}",
        Call.of(record.op, sample),
        arguments(sample),
        Call.of(record.reference, sample),
        {
            "finite_differences": sample.smooth,
            "others": further(record, sample),
            "require": LEVELS,
        },
    )


def described(sample: Sample) -> str:
    """Return the call in one line: x(3, 13, 1), w(3, 1, 5), stride=(4,)."""
    arrays = [f"{name}{np.shape(a)}" for name, a in (*sample.arrays.items(), *sample.fixed.items())]
    options = [f"{name}={value!r}" for name, value in sample.options.items()]
    return ", ".join((*arrays, *options))


def further(record: Record, sample: Sample, count: int = 2) -> list[tuple[Any, ...]]:
    """Return arguments of other shapes that the call takes too: one example more, one fewer."""
    return list(_resized(record, sample))[:count]


def _resized(record: Record, sample: Sample) -> Iterator[tuple[Any, ...]]:
    args = arguments(sample)
    first = np.shape(args[0])
    if not first or first[0] < 1:
        return
    alike = [len(np.shape(a)) > 0 and np.shape(a)[0] == first[0] for a in args]
    alone = [True, *[False] * (len(args) - 1)]
    for change in (_longer, _shorter):
        for chosen in (alike, alone):
            resized = tuple(change(a) if c else a for a, c in zip(args, chosen, strict=True))
            if resized[0].size and _accepts(Call.of(record.op, sample), resized):
                yield resized
                break


def _longer(a: Any) -> Any:
    more = np.asarray(a)[:1]
    return np.concatenate([a, more * 0.75 if np.issubdtype(more.dtype, np.floating) else more])


def _shorter(a: Any) -> Any:
    return np.asarray(a)[:-1]


def _accepts(call: Call, args: Values) -> bool:
    try:
        jax.eval_shape(call, *args)
    except (TypeError, ValueError):
        return False
    return True
