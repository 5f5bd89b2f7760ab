"""`Place`: one step of a program with what a change of it may use. `Edit`: such a change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays
from jaxconv.check.diagnosis.repair.in_numpy import Operation
from jaxconv.check.diagnosis.repair.program import Program, Step, Value

Known = Mapping[int, Value]
Change = Callable[[Step, Known], list[Value]]


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of one step, or of the same step in all rounds of a loop.

    Attributes:
        name: the mistake that the change undoes.
        words: what should be done instead: "the stride is 2".
        outputs: computes the changed outputs of a step from all values known so far.
    """

    name: str
    words: str
    outputs: Change


@dataclass(frozen=True, eq=False)
class Place:
    """A step that may be changed.

    Attributes:
        program: the program.
        step: one of its steps, with one output.
        values: all values of the program.
        driven: the values that depend on the cotangent.
    """

    program: Program
    step: Step
    values: Known
    driven: set[int]

    @property
    def output(self) -> int:
        """The number of the step's output."""
        return self.step.outputs[0]

    @property
    def y(self) -> Value:
        """The step's output."""
        return self.values[self.output]

    @property
    def operands(self) -> Arrays:
        """The values that the step reads."""
        return [self.values[i] for i in self.step.inputs]

    @property
    def is_real(self) -> bool:
        """Whether the output is an array of real floats."""
        return bool(jnp.issubdtype(self.y.dtype, jnp.floating))

    @property
    def arguments(self) -> list[int]:
        """The numbers of the arguments."""
        return self.program.inputs[: self.program.arguments]

    @property
    def cotangents(self) -> list[int]:
        """The numbers of the cotangents."""
        return self.program.inputs[self.program.arguments :]

    @cached_property
    def earlier(self) -> list[int]:
        """The arguments, cotangents and results that are there before this step."""
        written = (i for step in self.program.steps for i in step.outputs if i < self.output)
        return [*self.program.inputs, *written]

    @cached_property
    def constants(self) -> list[int]:
        """The real numbers in the program, each of them once."""
        found: dict[float, int] = {}
        for i, value in self.program.known.items():
            if value.size == 1 and jnp.issubdtype(value.dtype, jnp.floating):
                found.setdefault(float(value.ravel()[0]), i)
        return list(found.values())

    def called(self, number: int) -> str:
        """Return what a value is called in a report."""
        program = self.program
        if number in program.known:
            value = program.known[number]
            return f"{float(value.ravel()[0]):g}" if value.size == 1 else "another constant"
        if number in self.cotangents:
            return "the cotangent"
        if number in self.arguments:
            return program.names[self.arguments.index(number)]
        line = program.makers[number].line
        name = program.makers[number].name
        return f"the result of {name} in {line}" if line else f"the result of another {name}"


def read(step: Step, known: Known) -> Arrays:
    """Return the values that a step reads."""
    return [known[i] for i in step.inputs]


def with_params(**params: Any) -> Change:
    """Run the step with some parameters changed."""
    return lambda step, known: step.run(read(step, known), step.params | params)


def called(function: Operation) -> Change:
    """Apply a function to the operands, instead of the step."""
    return lambda step, known: [np.asarray(function(*read(step, known)))]


def then(function: Operation) -> Change:
    """Apply a function to the unchanged output."""
    return lambda step, known: [function(step.run(read(step, known), step.params)[0])]


def then_with(other: int, function: Operation) -> Change:
    """Apply a function to the step's unchanged output and to the value number `other`."""

    def outputs(step: Step, known: Known) -> list[Value]:
        y = step.run(read(step, known), step.params)[0]
        shape = spread_over(known[other].shape, y.shape)
        assert shape is not None
        return [np.asarray(function(y, known[other].reshape(shape)))]

    return outputs


def with_operand(position: int, function: Callable[[Arrays], Value]) -> Change:
    """Run the step with one operand that is computed from all of them."""

    def outputs(step: Step, known: Known) -> list[Value]:
        values = read(step, known)
        values[position] = function(values)
        return step.run(values, step.params)

    return outputs


def spread_over(shape: tuple[int, ...], onto: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape with which an array is spread over another one; None if it does not fit.

    Axes that are missing may lie anywhere, for a cotangent of one number per row.
    """
    if len(shape) == len(onto):
        fits = all(n in (1, size) for n, size in zip(shape, onto, strict=True))
        return shape if fits else None
    waiting = list(shape)
    kept = tuple(waiting.pop(0) if waiting[:1] == [size] else 1 for size in onto)
    return None if waiting else kept
