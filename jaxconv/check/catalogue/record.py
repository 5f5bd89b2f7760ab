"""What the catalogue knows of an op: its calls, where its gradient is a choice, what it refuses.

A record is data. The tests are made from it (tests/test_catalogue.py says which), so an op is
added by writing its function, its rule, its twin, its derivation and its record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue.large import EVERY_FORM, LARGE

Arrays = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Sample:
    """One call of an op, its arguments by parameter name.

    Attributes:
        arrays: float64 arrays, differentiated.
        fixed: arrays that have no gradient: labels, indices, keys.
        options: everything else; hashable.
        smooth: no array is within `NUDGE` of a kink or a tie, so differences tell the gradient.
    """

    arrays: Arrays
    fixed: Arrays = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    smooth: bool = True

    def bind(self, op: Callable[..., Any]) -> Callable[..., Any]:
        """`op` as a function of the differentiated arrays, by position."""

        def bound(*arrays: Any) -> Any:
            named = dict(zip(self.arrays, arrays, strict=True))
            return op(**named, **self.fixed, **self.options)

        return bound


NUDGE = 0.01
"""How far central differences nudge an element at most."""


@dataclass(frozen=True, eq=False)
class Pinned:
    """A point where the value or the gradient is a choice, and what was chosen.

    Attributes:
        why: what is special there, in a few words.
        sample: the call.
        dy: the cotangent of its output (a tree like the output).
        y: the value, exactly; None where it is no matter.
        gradients: for some of the arrays, by name, the gradient, exactly.
    """

    why: str
    sample: Sample
    dy: Any
    y: Any
    gradients: Arrays


@dataclass(frozen=True, eq=False)
class Refusal:
    """Arguments that cannot be meant, and the whole message that answers them."""

    error: type[Exception]
    message: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @property
    def op(self) -> str:
        """The op that refuses, which its message names first."""
        return self.message.partition(":")[0]


def type_error(message: str, *arguments: Any, **keywords: Any) -> Refusal:
    """A call that is answered with a `TypeError`."""
    return Refusal(TypeError, message, arguments, keywords)


def value_error(message: str, *arguments: Any, **keywords: Any) -> Refusal:
    """A call that is answered with a `ValueError`."""
    return Refusal(ValueError, message, arguments, keywords)


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """Everything the tests need to know of one op.

    Attributes:
        name: of the op and of its twin.
        sample: the call with this number; any number is good, and the first 16 are tried.
            Between them: 1 to 3 spatial dimensions and both layouts where they apply, every
            option off its default, pairwise different sizes, an empty batch, scalars.
        large: a call with thousands of elements, an even batch first, for precision and for
            residual bytes; with options as they are commonly used.
        ways: of samples that are large enough for the fast forms (`catalogue.large`): in how many
            ways each is asked for; 0 where there are none.
        transformed: numbers of the samples that go through every transformation of JAX.
        pinned: kinks, ties, NaN, infinities and empty windows.
        refusals: arguments that are this op's alone to refuse. What an argument of a common name
            (x, layout, stride, reduction, …) must be is tried on every op that has it.
        by_example: arrays whose leading axis is the batch, if the op of a part of the batch is
            that part of the op; () where examples meet each other.
        tolerance: relative, of value and gradients in float64; with `reason` if not 1e-10.
        reason: why the tolerance is what it is.
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
        """Numbers of the samples that reach every fast form, in every way to ask for it."""
        return tuple(range(LARGE, LARGE + self.ways * len(EVERY_FORM)))

    @property
    def each_form(self) -> tuple[int, ...]:
        """Numbers of some of these: each form is reached in one way, and each way is taken."""
        if not self.ways:
            return ()
        count = range(len(EVERY_FORM))
        return tuple(LARGE + number * self.ways + number % self.ways for number in count)

    @property
    def op(self) -> Callable[..., Any]:
        """The op with the rule written by hand."""
        return getattr(jaxconv, self.name)

    @property
    def twin(self) -> Callable[..., Any]:
        """The same op, differentiated by JAX."""
        return getattr(jaxconv.reference, self.name)
