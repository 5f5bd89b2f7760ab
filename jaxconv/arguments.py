"""What every op asks of its arguments, and the words in which it says no.

Every check happens on shapes, dtypes and Python values, so it costs nothing at
run time: under `jax.jit` it runs once, while tracing. A message names the op, the
argument, what came and what was expected.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Layout = Literal["channels_last", "channels_first"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
PadMode = Literal["constant", "reflect", "replicate", "circular"]
Ties = Literal["first", "all", "split"]
Reduction = Literal["mean", "sum", "none"]
PrecisionLike = None | str | lax.Precision | tuple[lax.Precision | str, lax.Precision | str]

IntOrInts = int | Sequence[int]
Pairs = Sequence[tuple[int, int]]
FLOATS = tuple(np.dtype(kind) for kind in (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64))

Padding = str | int | Sequence[int] | Sequence[tuple[int, int]]


def as_array(op: str, name: str, value: Any) -> Array:
    """The array of numbers that came as argument `name`; lists and Python's scalars are refused."""
    known = isinstance(value, (jax.Array, np.ndarray, np.generic))
    if not known or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{op}: {name} must be an array, but {value!r:.40} came")
    if not (jnp.issubdtype(value.dtype, np.number) or value.dtype == bool):
        raise TypeError(f"{op}: {name} must be an array of numbers, but its dtype is {value.dtype}")
    return jnp.asarray(value)


def check_number(op: str, **arrays: Array) -> None:
    """Raise unless every array holds floats of 16, 32 or 64 bits, or integers."""
    for name, array in arrays.items():
        dtype = array.dtype
        if jnp.issubdtype(dtype, jnp.floating):
            if dtype not in FLOATS:
                raise TypeError(
                    f"{op}: {name} must have 16, 32 or 64 bits if it is floating-point,"
                    f" but its dtype is {dtype}"
                )
        elif not jnp.issubdtype(dtype, jnp.integer):
            raise TypeError(
                f"{op}: {name} must be floating-point or integer, but its dtype is {dtype}"
            )


def check_floating(op: str, **arrays: Array | None) -> None:
    """Raise unless all arrays (None is skipped) share one floating dtype."""
    present = {name: array.dtype for name, array in arrays.items() if array is not None}
    for name, dtype in present.items():
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{op}: {name} must be a floating-point array, but its dtype is {dtype}"
            )
    (first, expected), *others = present.items()
    for name, dtype in others:
        if dtype != expected:
            raise TypeError(
                f"{op}: {first} is {expected}, but {name} is {dtype} (one dtype is expected)"
            )


def aligned(*arrays: Array | None) -> tuple[Any, ...]:
    """The arrays, marked as varying over the same mesh axes; outside `jax.shard_map`, as they are.

    A `custom_vjp` must give each argument a cotangent that varies over the axes the argument
    varies over. Weights that are the same on every device meet images that are not, and so
    do their gradients: marked as varying, their cotangents are summed over the devices.
    """
    axes = [_varying_axes(array) for array in arrays if array is not None]
    everywhere = frozenset().union(*axes)
    return tuple(
        array
        if array is None or not (missing := everywhere - _varying_axes(array))
        else lax.pcast(array, tuple(missing), to="varying")
        for array in arrays
    )


def _varying_axes(array: Array) -> frozenset[Any]:
    kind = getattr(jax.typeof(array), "manual_axis_type", None)
    return frozenset() if kind is None else kind.varying


def check_option(op: str, name: str, value: object, options: Any) -> None:
    """Raise unless `value` is one of the strings of the `Literal` type `options`."""
    if not isinstance(value, str) or value not in get_args(options):
        expected = ", ".join(map(repr, get_args(options)))
        raise ValueError(f"{op}: {name} must be one of {expected}, but {value!r} came")


def as_bool(op: str, name: str, value: object) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be True or False, but {value!r} came")
    return bool(value)


def as_float(op: str, name: str, value: Any) -> float:
    """A finite number of Python or numpy, known while tracing."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be a number, but {value!r} came")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{op}: {name} must be finite, but {value!r} came")
    return number


def as_int(op: str, name: str, value: object, minimum: int, maximum: int = 2**31 - 1) -> int:
    """An integer in [minimum, maximum]; bools and floats are refused."""
    try:
        integer = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        integer = None
    if integer is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be an int, but {value!r} came")
    if integer < minimum:
        raise ValueError(f"{op}: {name} must be at least {minimum}, but {value!r} came")
    if integer > maximum:
        raise ValueError(f"{op}: {name} must be at most {maximum}, but {value!r} came")
    return integer


def per_dimension(op: str, name: str, value: Any, dims: int, minimum: int) -> tuple[int, ...]:
    """One int for all spatial dimensions, or one for each, as a tuple of ints."""
    if not is_sequence(value):
        return (as_int(op, name, value, minimum),) * dims
    if len(value) != dims:
        raise ValueError(
            f"{op}: {name} must be an int or {dims} ints, one per spatial dimension,"
            f" but {tuple(value)!r} came"
        )
    return tuple(as_int(op, f"{name}[{d}]", v, minimum) for d, v in enumerate(value))


def is_sequence(value: object) -> bool:
    """Whether `value` lists several things (a string and a 0-d array do not)."""
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def as_precision(op: str, value: Any) -> Any:
    """None, a `lax.Precision`, or a pair of them (for the two factors of a product)."""
    if value is None:
        return None
    pair = is_sequence(value) and len(value) == 2
    precisions = tuple(map(_precision, value if pair else (value,)))
    if None in precisions:
        raise ValueError(
            f"{op}: precision must be None, 'default', 'high', 'highest', a jax.lax.Precision"
            f" or a pair of them, but {value!r} came"
        )
    return precisions if pair else precisions[0]


def _precision(value: object) -> lax.Precision | None:
    if isinstance(value, lax.Precision):
        return value
    try:
        return lax.Precision(value.lower()) if isinstance(value, str) else None
    except ValueError:
        return None


def accumulator(dtype: Any) -> Any:
    """The dtype in which sums over values of `dtype` are kept: 16-bit floats use float32."""
    return np.dtype(np.float32) if jnp.finfo(dtype).bits == 16 else dtype
