"""A rule traced with its backward pass: one flat list of steps that can be changed one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from jaxconv._core.types import Function, Options, Values
from jaxconv.check.arrays import Arrays
from jaxconv.check.diagnosis.repair.in_numpy import STEPS

Value = np.ndarray | Array
"""An array of NumPy, or a random key or a traced value of JAX."""

CALLS = {
    "pjit": "jaxpr",
    "jit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Equations that only call another traced function, and the parameter that holds it."""

_SAME_NUMBERS = ("broadcast_in_dim", "reshape", "convert_element_type")

_LIBRARIES = [str(Path(module.__file__ or "").parent) for module in (jax, np)]
_NOT_THE_USERS = (*_LIBRARIES, str(Path(__file__).parents[3]), "<frozen")


@dataclass(frozen=True, eq=False)
class Step:
    """One equation of the program.

    Attributes:
        name: the name of the primitive.
        params: its parameters.
        inputs: the numbers of the values it reads.
        outputs: the numbers of the values it writes.
        line: the line of the user's code, as "rules.py:12"; "" if there is none.
        site: the instruction of the user's code; the rounds of a loop have the same.
        run: computes the outputs from inputs and parameters.
    """

    name: str
    params: Options
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    line: str
    site: object
    run: Callable[[Values, Options], list[Value]]


@dataclass(frozen=True, eq=False)
class Program:
    """A flat program: numbered values, and the steps that compute them.

    Attributes:
        steps: all steps, each after those whose values it reads.
        known: the values of the constants, by number.
        inputs: the numbers of the arguments, then of the cotangents.
        arguments: how many of the inputs are arguments.
        results: the numbers of the gradients, one for each argument.
        names: the names of the arguments.
    """

    steps: list[Step]
    known: dict[int, Value]
    inputs: list[int]
    arguments: int
    results: list[int]
    names: Sequence[str] = ()

    def values(self, given: Arrays) -> dict[int, Value]:
        """Compute all values for these arguments and cotangents."""
        values = self.known | dict(zip(self.inputs, given, strict=True))
        for step in self.steps:
            found = step.run([values[i] for i in step.inputs], step.params)
            values.update(zip(step.outputs, found, strict=True))
        return values

    @cached_property
    def makers(self) -> dict[int, Step]:
        """The step that computes each value, by the value's number."""
        return {i: step for step in self.steps for i in step.outputs}

    def ancestors(self, number: int) -> dict[int, Step]:
        """Return all steps that a value depends on, by the numbers of their outputs."""
        found: dict[int, Step] = {}
        waiting = [number]
        while waiting:
            i = waiting.pop()
            if i in self.makers and i not in found:
                found[i] = self.makers[i]
                waiting += self.makers[i].inputs
        return found

    def argument_of(self, number: int) -> int | None:
        """Return the position of the argument that a value is, perhaps spread or reshaped."""
        step = self.makers.get(number)
        while step is not None and step.name in _SAME_NUMBERS:
            number = step.inputs[0]
            step = self.makers.get(number)
        inputs = self.inputs[: self.arguments]
        return inputs.index(number) if number in inputs else None

    @property
    def form(self) -> list[tuple[str, object]]:
        """What two traces of one rule, for other shapes, have in common if nothing depends on them.

        It is the primitive and the place of each step.
        """
        return [(step.name, step.site) for step in self.steps]


def program_of(
    bound: Callable[..., Arrays],
    arrays: Arrays,
    dy: Arrays,
    names: Sequence[str],
    rule: object,
    args: Values,
) -> Program:
    """Trace a rule and its backward pass at these arguments and cotangents.

    Args:
        bound: the function from the differentiated arguments to the floating-point outputs.
        arrays: the differentiated arguments.
        dy: the cotangents.
        names: the names of the arguments.
        rule: the rule behind `bound`. JAX forgets the lines of a backward pass, so they are taken
            from a trace of `rule.bwd` alone, where there is one.
        args: all arguments of the rule.
    """

    def gradients(arrays: Arrays, dy: Arrays) -> Arrays:
        y, pull = jax.vjp(bound, *arrays)
        return list(pull([d.astype(out.dtype) for d, out in zip(dy, y, strict=True)]))

    closed = jax.make_jaxpr(gradients)(arrays, dy)
    builder = _Builder()
    inputs = [builder.new() for _ in (*arrays, *dy)]
    results = builder.inline(closed.jaxpr, closed.consts, inputs)
    steps = _placed(builder.steps, _backward_steps(rule, args))
    return Program(steps, builder.known, inputs, len(arrays), results, names)


def _backward_steps(rule: Any, args: Values) -> list[Step]:
    """Trace the backward pass of a `custom_vjp` alone, for the lines of its steps."""
    forward, backward = getattr(rule, "fwd", None), getattr(rule, "bwd", None)
    if forward is None or backward is None:
        return []
    try:
        y, saved = forward(*args)
        fixed = [args[i] for i in rule.nondiff_argnums]
        traced = _without_jit(backward)
        closed = jax.make_jaxpr(lambda saved, dy: traced(*fixed, saved, dy))(saved, y)
    except Exception:  # only lines are lost
        return []
    builder = _Builder()
    builder.inline(closed.jaxpr, closed.consts, [builder.new() for _ in closed.jaxpr.invars])
    return builder.steps


def _without_jit(function: Function) -> Function:
    """Return a function that `jax.jit` was called with.

    JAX 0.12 keeps traces of functions under jit, without lines if it made them inside a gradient.
    """
    if not hasattr(function, "lower"):
        return function
    written: Function = getattr(function, "__wrapped__", function)
    return written


def _placed(steps: list[Step], backward: list[Step]) -> list[Step]:
    """Return the steps with the lines of those of the backward pass, which come one by one."""
    names, found = [s.name for s in steps], [s.name for s in backward]
    for start in range(len(names) - len(found), -1, -1):
        if found and names[start : start + len(found)] == found:
            pairs = zip(steps[start : start + len(found)], backward, strict=True)
            placed = [replace(step, line=b.line, site=b.site) for step, b in pairs]
            return [*steps[:start], *placed, *steps[start + len(found) :]]
    return steps


class _Builder:
    """Numbers values, and puts the equations of called functions in place of the calls."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.known: dict[int, Value] = {}
        self._count = 0

    def new(self) -> int:
        self._count += 1
        return self._count

    def inline(self, jaxpr: Jaxpr, consts: Values, inputs: list[int]) -> list[int]:
        numbers: dict[Var, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, constant in zip(jaxpr.constvars, consts, strict=True):
            numbers[variable] = self._constant(constant)

        def of(v: Var | Literal) -> int:
            return self._constant(v.val, v.aval) if isinstance(v, Literal) else numbers[v]

        for eqn in jaxpr.eqns:
            read = [of(v) for v in eqn.invars]
            inner = eqn.params.get(CALLS.get(eqn.primitive.name, ""))
            if inner is None:
                written = [self.new() for _ in eqn.outvars]
                self.steps.append(_step(eqn, tuple(read), tuple(written)))
            else:
                called = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
                written = self.inline(called.jaxpr, called.consts, read)
            numbers.update(zip(eqn.outvars, written, strict=True))
        return [of(v) for v in jaxpr.outvars]

    def _constant(self, value: object, aval: object = None) -> int:
        number = self.new()
        self.known[number] = _plain(jnp.asarray(value, getattr(aval, "dtype", None)))
        return number


def _step(eqn: JaxprEqn, read: tuple[int, ...], written: tuple[int, ...]) -> Step:
    primitive, context = eqn.primitive, eqn.ctx
    quick = STEPS.get(primitive.name)

    def run(values: Values, params: Options) -> list[Value]:
        if quick is not None and all(type(v) is np.ndarray for v in values):
            return [np.asarray(quick(*values, **params))]
        with context.manager:
            found = primitive.bind(*values, **primitive.get_bind_params(params))
        return list(map(_plain, found if primitive.multiple_results else [found]))

    line, site = _place(eqn)
    return Step(primitive.name, eqn.params, read, written, line, site, run)


def _plain(value: Array) -> Value:
    """Return a NumPy array; random keys and traced values stay what they are."""
    is_key = jnp.issubdtype(value.dtype, jax.dtypes.extended)
    return value if is_key or isinstance(value, jax.core.Tracer) else np.asarray(value)


def _place(eqn: JaxprEqn) -> tuple[str, object]:
    """Return the innermost line, and instruction, that is neither JAX's nor the checker's."""
    for file, line, site in _frames(eqn.source_info.traceback):
        if not file.startswith(_NOT_THE_USERS) and "site-packages" not in file:
            return f"{Path(file).name}:{line}", site
    return "", None


def _frames(traceback: Any) -> Iterator[tuple[str, int, object]]:
    if traceback is None:
        return
    codes, instructions = traceback.raw_frames()
    for code, instruction, frame in zip(codes, instructions, traceback.frames, strict=True):
        yield frame.file_name, frame.line_num, (code, instruction)


def without_rules(function: Function) -> Function:
    """Return the function with every `custom_vjp` and `custom_jvp` in it called as written.

    JAX then derives the gradient of the value itself, which need not be possible.
    """

    def plain(*args: Any) -> Any:
        closed, form = jax.make_jaxpr(function, return_shape=True)(*args)
        builder = _Builder()
        inputs = [builder.new() for _ in closed.jaxpr.invars]
        results = builder.inline(closed.jaxpr, closed.consts, inputs)
        program = Program(builder.steps, builder.known, inputs, len(inputs), results)
        values = program.values(jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(form), [values[i] for i in results])

    return plain
