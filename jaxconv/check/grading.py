"""`check_backward`: try a backward pass written in NumPy, with loops if need be."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxconv._core.types import Function, Values
from jaxconv.check.judge import check_rule
from jaxconv.check.leaves import is_float
from jaxconv.check.naming import argument_names, line_of, signature_of
from jaxconv.check.recognition import recognized
from jaxconv.check.report import Failure, Report

Arrays = list[np.ndarray]


def check_backward(
    forward: Function, backward: Function, args: Values, *, names: Sequence[str] | None = None
) -> Report:
    """Check a backward pass that is written in NumPy against its forward pass.

    Both may be plain Python with loops. The gradients are compared with central differences of
    `forward`, or with autodiff if JAX can differentiate it, for several random dy. If a gradient is
    wrong, known mistakes are tried as an explanation; and if `forward` is a dense layer, or a
    convolution or pool of one picture with one channel, the report writes out the sum of the first
    element that is wrong.

    Args:
        forward: a function of `args` that returns an array, or a tuple of arrays.
        backward: a function `backward(dy, *args)` that returns the gradient of each array of floats
            in `args`, in their order: one array, or a tuple or list of them. dy has the shape of
            the value; it is a tuple if the value is one.
        args: the arguments. Arrays of floats are differentiated.
        names: names of the arguments for the report. None means those in the signature of
            `forward`.

    Returns:
        A `Report`, as `check_rule` returns it.

    Raises:
        TypeError: `forward` or `backward` is not callable, or `args` is not a tuple or list.
        ValueError: no argument is an array of floats, or `forward` fails.

    Example:
        >>> def forward(x, w):
        ...     return np.array([x[i] * w[0] + x[i + 1] * w[1] for i in range(len(x) - 1)])
        >>> def backward(dy, x, w):
        ...     dw = np.array([np.sum(dy * x[:-1]), np.sum(dy * x[1:])])
        ...     dx = np.zeros_like(x)
        ...     for i in range(len(dy)):
        ...         dx[i : i + 2] += dy[i] * w[::-1]
        ...     return dx, dw
        >>> report = check_backward(forward, backward, (np.arange(4.0), np.array([2.0, 3.0])))
        >>> report.failures[0].diagnosis.name
        'spatially_flipped'
    """
    _check_usage(forward, backward, args, names)
    student = _Student(forward, backward, tuple(args), names)
    refusal = student.refusal()
    if refusal is not None:
        return refusal
    found = recognized(student.value, student.arrays)
    reference = found.function if found is not None else student.differentiable
    report = check_rule(
        student.rule, tuple(student.arrays), reference, transforms=(), name=student.name
    )
    report.defined = student.defined
    if student.error:
        report.notes.insert(0, f"with other numbers {student.error}")
    elif not report.ok and found is not None:
        worked = found.written_out(student.arrays, student.names, student.gradients)
        report.notes[:0] = worked
    return report


def _check_usage(
    forward: object, backward: object, args: object, names: Sequence[str] | None
) -> None:
    for what, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"check_backward: {what} must be callable, but got {function!r:.60}")
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_backward: args must be a tuple or a list, but got {args!r:.60}")
    if any(np.iscomplexobj(a) for a in args):
        raise TypeError("check_backward: args must be real, but got a complex array")
    if not any(is_float(a) for a in args):
        raise ValueError("check_backward: args hold no array of floats, nothing to differentiate")
    if names is not None and len(names) != len(args):
        raise ValueError(
            f"check_backward: names must have one entry for each of the {len(args)} arguments, but"
            f" got {len(names)}"
        )


class _Student:
    """A forward and a backward pass of NumPy as a rule of JAX, for one set of arguments."""

    def __init__(
        self,
        forward: Function,
        backward: Function,
        args: tuple[object, ...],
        names: Sequence[str] | None,
    ) -> None:
        self._forward, self._backward, self._args = forward, backward, args
        self._wanted = [i for i, a in enumerate(args) if is_float(a)]
        called = tuple(names) if names is not None else argument_names((forward,), len(args))
        self.names = [called[i] for i in self._wanted]
        self.arrays = [np.asarray(args[i], float) for i in self._wanted]
        self.name = str(getattr(backward, "__name__", "backward"))
        self.defined = line_of(backward)
        try:
            outputs = forward(*self._all(self.arrays))
        except Exception as error:
            raise ValueError(
                f"check_backward: the forward pass fails: {type(error).__name__}: {error}"
            ) from error
        self._is_tuple = isinstance(outputs, (tuple, list))
        self._shapes: dict[tuple[tuple[int, ...], ...], list[jax.ShapeDtypeStruct]] = {}
        self.error = ""
        self.rule = self._rule()

    def _all(self, arrays: Sequence[ArrayLike]) -> list[object]:
        """Return copies of all arguments with these arrays: the passes may change theirs."""
        args = [np.array(a) if hasattr(a, "shape") else a for a in self._args]
        for i, array in zip(self._wanted, arrays, strict=True):
            args[i] = np.array(array, float)
        return args

    def value(self, *arrays: ArrayLike) -> Arrays:
        """Return the outputs of the forward pass."""
        outputs = self._forward(*self._all(arrays))
        return [np.asarray(y, float) for y in (outputs if self._is_tuple else [outputs])]

    def gradients(self, dy: Sequence[ArrayLike], *arrays: ArrayLike) -> list[ArrayLike | None]:
        """Return what the backward pass returns, one gradient for each differentiated argument."""
        given = [np.array(d, float) for d in dy]
        found = self._backward(tuple(given) if self._is_tuple else given[0], *self._all(arrays))
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(found) == len(self._args) > len(self._wanted):
            found = [found[i] for i in self._wanted]
        return found

    def refusal(self) -> Report | None:
        """Return a failed report if the gradients do not have the form of the arguments."""
        dy = [np.ones_like(y) for y in self.value(*self.arrays)]
        try:
            found = self.gradients(dy, *self.arrays)
        except Exception as error:
            return self._refused("", f"the backward pass fails: {type(error).__name__}: {error}")
        if len(found) != len(self.arrays):
            wanted = ", ".join(f"d{name}" for name in self.names)
            expected = f"{len(self.arrays)} gradients are expected, {wanted}"
            return self._refused("", f"{expected}, but backward returns {len(found)}")
        for name, array, gradient in zip(self.names, self.arrays, found, strict=True):
            if gradient is None or np.shape(gradient) != array.shape:
                got = "is None" if gradient is None else f"has the shape {np.shape(gradient)}"
                expected = f"d{name} must have the shape of {name}, {array.shape}"
                return self._refused(name, f"{expected}, but {got}")
        return None

    def _refused(self, argument: str, message: str) -> Report:
        failure = Failure(argument, "structure", message, dtype="float64")
        return Report(self.name, [failure], checks=1, defined=self.defined)

    @property
    def differentiable(self) -> Function | None:
        """The forward pass, if JAX can differentiate it and finds the same value."""

        def forward(*arrays: Array) -> object:
            args = list(self._args)
            for i, array in zip(self._wanted, arrays, strict=True):
                args[i] = array
            y = self._forward(*args)
            return tuple(y) if self._is_tuple else y

        try:
            with jax.enable_x64(True):
                y, _ = jax.vjp(forward, *map(jnp.asarray, self.arrays))
        except Exception:  # it is written in NumPy
            return None
        same = zip(jax.tree.leaves(y), self.value(*self.arrays), strict=True)
        return forward if all(np.allclose(a, b) for a, b in same) else None

    def _rule(self) -> Function:
        def shapes(arrays: Sequence[Array]) -> list[jax.ShapeDtypeStruct]:
            key = tuple(a.shape for a in arrays)
            if key not in self._shapes:
                drawn = [np.random.default_rng(0).normal(size=shape) for shape in key]
                with jax.ensure_compile_time_eval():  # the passes may use jax.numpy
                    outputs = self.value(*drawn)
                self._shapes[key] = [jax.ShapeDtypeStruct(y.shape, jnp.float64) for y in outputs]
            return self._shapes[key]

        @jax.custom_vjp
        def rule(*arrays: Array) -> Array | tuple[Array, ...]:
            found = jax.pure_callback(self._value_or_nan, shapes(arrays), *arrays)
            return tuple(found) if self._is_tuple else found[0]

        def backward(arrays: tuple[Array, ...], dy: Array | tuple[Array, ...]) -> tuple[Array, ...]:
            likes = [jax.ShapeDtypeStruct(a.shape, jnp.float64) for a in arrays]
            given = list(dy) if self._is_tuple else [dy]
            return tuple(jax.pure_callback(self._gradients_or_nan, likes, given, *arrays))

        rule.defvjp(lambda *arrays: (rule(*arrays), arrays), backward)
        rule.__signature__ = signature_of(self.names)  # type: ignore[attr-defined]
        return rule

    # An exception inside of a callback would be printed with the whole stack of JAX. Shapes that
    # the checker made up are no error of the student's, but other numbers of the same shape are.

    def _value_or_nan(self, *arrays: ArrayLike) -> Arrays:
        try:
            return self.value(*arrays)
        except Exception as error:
            self._remember("the forward pass", error, arrays)
            shapes = self._shapes[tuple(np.shape(a) for a in arrays)]
            return [np.full(s.shape, np.nan) for s in shapes]

    def _gradients_or_nan(self, dy: Sequence[ArrayLike], *arrays: ArrayLike) -> Arrays:
        try:
            found = [np.asarray(g, float) for g in self.gradients(dy, *arrays)]
            if [g.shape for g in found] == [np.shape(a) for a in arrays]:
                return found
            raise ValueError(f"gradients of the shapes {[g.shape for g in found]}")
        except Exception as error:
            self._remember("the backward pass", error, arrays)
        return [np.full(np.shape(a), np.nan) for a in arrays]

    def _remember(self, which: str, error: Exception, arrays: Sequence[ArrayLike]) -> None:
        if [np.shape(a) for a in arrays] == [a.shape for a in self.arrays]:
            self.error = self.error or f"{which} fails: {type(error).__name__}: {error}"
