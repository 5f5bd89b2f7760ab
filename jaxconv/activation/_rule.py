"""Build an activation op from two functions, its value and its backward pass.

The two functions are `value(x, *options)`, and `backward(saved, dy, *options)`, which returns dx.
There are three ways to join them, which differ in what they save:

    from_output    y, which the next layer keeps anyway as its input
    from_input     x, where y does not determine the derivative
    from_mask      one byte per element, where the derivative has two values

Options are static: Python's numbers and tuples. Both functions get floats of at least 32 bits;
16-bit floats are widened before and rounded after them.
"""

from collections.abc import Callable

from jax import Array

from jaxconv._core.arguments import accumulator, as_array, check_floating
from jaxconv._core.rule import Rule

Function = Callable[..., Array]


def from_output(value: Function, backward: Function, *, exact: bool = False) -> Function:
    """Return the op that saves y.

    A 16-bit y is rounded, which would make the gradient inaccurate. Therefore x is saved instead,
    and y is computed again. `exact` says that the backward pass only compares y with numbers, for
    which a rounded y is good enough.
    """

    def save(x: Array, y: Array, *options: object) -> Array:
        return y if exact or x.dtype == accumulator(x.dtype) else x

    def backward_of_saved(saved: Array, dy: Array, *options: object) -> Array:
        y = _wide(saved)
        if not exact and y.dtype != saved.dtype:
            y = value(y, *options)
        return backward(y, dy, *options)

    return _joined(value, save, backward_of_saved)


def from_input(value: Function, backward: Function) -> Function:
    """Return the op that saves x."""

    def backward_of_saved(x: Array, dy: Array, *options: object) -> Array:
        return backward(_wide(x), dy, *options)

    return _joined(value, lambda x, y, *options: x, backward_of_saved)


def from_mask(value: Function, mask: Function, backward: Function) -> Function:
    """Return the op that saves `mask(x, *options)`, an array of booleans."""
    return _joined(value, lambda x, y, *options: mask(_wide(x), *options), backward)


def _joined(value: Function, save: Function, backward: Function) -> Function:
    def forward(options: tuple[object, ...], x: Array) -> tuple[Array, Array]:
        y = value(_wide(x), *options).astype(x.dtype)
        return y, save(x, y, *options)

    def pull(options: tuple[object, ...], saved: Array, dy: Array) -> tuple[Array]:
        return (backward(saved, _wide(dy), *options).astype(dy.dtype),)

    name = value.__name__.strip("_").removesuffix("_value")
    op = Rule(forward, pull, static=1, name=name)
    return lambda x, *options: op(options, x)


def _wide(x: Array) -> Array:
    return x.astype(accumulator(x.dtype))


def as_floats(op: str, x: object) -> Array:
    """Return x as a floating-point array, or raise."""
    x = as_array(op, "x", x)
    check_floating(op, x=x)
    return x
