"""`Record`: sample calls of an op, points where its gradient is a choice, and invalid arguments.

A record is data from which the tests are generated (see tests/test_catalogue.py). To add an op,
write its function, its rule, its reference implementation, its derivation and its record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jaxconv
import jaxconv.reference
from jaxconv._core.types import Function
from jaxconv.check.catalogue.large import EVERY_FORM, LARGE

Arrays = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Sample:
    """One call of an op, its arguments by parameter name.

    Attributes:
        arrays: the differentiated arrays, in float64.
        fixed: arrays that have no gradient: labels, indices, keys.
        options: all other arguments, which are hashable.
        smooth: whether no array is within `NUDGE` of a kink or a tie, so that central differences
            give the gradient.
    """

    arrays: Arrays
    fixed: Arrays = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    smooth: bool = True

    def bind(self, op: Function) -> Function:
        """Return `op` as a function of the differentiated arrays, by position."""

        def bound(*arrays: Any) -> Any:
            named = dict(zip(self.arrays, arrays, strict=True))
            return op(**named, **self.fixed, **self.options)

        return bound


NUDGE = 0.01
"""The largest distance by which central differences move an element."""


@dataclass(frozen=True, eq=False)
class Pinned:
    """A point where the value or the gradient is a convention, with the exact expected numbers.

    Attributes:
        why: what is special at this point, in a few words.
        sample: the call.
        dy: the cotangent of its output, a tree like the output.
        y: the exact value; None if it does not matter.
        gradients: the exact gradients of some of the arrays, by name.
    """

    why: str
    sample: Sample
    dy: Any
    y: Any
    gradients: Arrays


@dataclass(frozen=True, eq=False)
class Refusal:
    """Invalid arguments, and the error with its whole message that they must raise."""

    error: type[Exception]
    message: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @property
    def op(self) -> str:
        """The op that raises the error; its name begins the message."""
        return self.message.partition(":")[0]


def type_error(message: str, *arguments: Any, **keywords: Any) -> Refusal:
    """Return a call that must raise `TypeError`."""
    return Refusal(TypeError, message, arguments, keywords)


def value_error(message: str, *arguments: Any, **keywords: Any) -> Refusal:
    """Return a call that must raise `ValueError`."""
    return Refusal(ValueError, message, arguments, keywords)


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """Everything the tests need to know of one op.

    Attributes:
        name: the name of the op and of its reference implementation.
        sample: returns the call with a number. Every number is valid; the tests use the first 16.
            Together these have 1 to 3 spatial dimensions and both layouts where they apply, every
            option with a value other than its default, pairwise different sizes, an empty batch
            and scalars.
        large: returns a call with thousands of elements and common options, for precision and
            residual bytes; the batch comes first and is even.
        ways: in how many ways each convolution of `catalogue.large` is called, to reach the fast
            forms; 0 for an op without fast forms.
        transformed: the numbers of the samples that go through every transformation of JAX.
        pinned: calls with kinks, ties, NaN, infinities and empty windows.
        refusals: yields invalid arguments that only this op has. Arguments with a common name
            (x, layout, stride, reduction, …) are tested on every op that takes them.
        by_example: the arrays whose leading axis is the batch, if the op treats each example
            separately; otherwise ().
        tolerance: the relative tolerance of value and gradients in float64.
        reason: why the tolerance is not 1e-10, if it is not.
    """

    name: str
    sample: Callable[[int], Sample]
    large: Callable[[], Sample]
    ways: int = 0
    transformed: tuple[int, ...] = (0,)
    pinned: tuple[Pinned, ...] = ()
    refusals: Callable[[], Any] = tuple
    by_example: tuple[str, ...] = ("x",)
    tolerance: float = 1e-10
    reason: str = ""

    @property
    def forms(self) -> tuple[int, ...]:
        """The numbers of the samples that reach every fast form, called in every way."""
        return tuple(range(LARGE, LARGE + self.ways * len(EVERY_FORM)))

    @property
    def each_form(self) -> tuple[int, ...]:
        """The numbers of some of `forms`: each form is reached once, and the ways take turns."""
        if not self.ways:
            return ()
        count = range(len(EVERY_FORM))
        return tuple(LARGE + number * self.ways + number % self.ways for number in count)

    @property
    def op(self) -> Function:
        """The op whose rule is derived by hand."""
        return getattr(jaxconv, self.name)

    @property
    def reference(self) -> Function:
        """The reference implementation of the op, differentiated by JAX."""
        return getattr(jaxconv.reference, self.name)
