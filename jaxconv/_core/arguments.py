"""Checks of arguments that several ops share, and their error messages.

Every check looks only at shapes, dtypes and Python values, so it costs nothing at
run time: under `jax.jit` it runs once, while tracing. A message names the op, the
argument, what the op expected and what it got.
"""

import math
import operator
from collections.abc import Hashable, Sequence
from typing import Any, Literal, TypeGuard, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Layout = Literal["channels_last", "channels_first"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
PadMode = Literal["constant", "reflect", "replicate", "circular"]
Ties = Literal["first", "all", "split"]
Reduction = Literal["mean", "sum", "none"]
ResizeMethod = Literal["nearest", "nearest_floor", "linear"]
UpsampleMethod = Literal["nearest", "linear"]
Precisions = lax.Precision | tuple[lax.Precision, lax.Precision] | None
PrecisionLike = None | str | lax.Precision | tuple[lax.Precision | str, lax.Precision | str]

FLOATS = tuple(jnp.dtype(name) for name in ("float64", "float32", "bfloat16", "float16"))

DType = np.dtype[np.generic]
IntOrInts = int | Sequence[int]
PairsLike = Sequence[tuple[int, int]]
DimensionNumbers = lax.ConvDimensionNumbers | tuple[str, str, str] | None
Padding = str | int | Sequence[int] | Sequence[tuple[int, int]]


def as_array(op: str, name: str, value: object) -> Array:
    """Return the argument as an array of numbers; raise for lists and Python scalars."""
    arrays = jax.Array, np.ndarray, np.generic
    if not isinstance(value, arrays) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{op}: {name} must be an array, but got {value!r:.40}")
    if not (jnp.issubdtype(value.dtype, np.number) or value.dtype == bool):
        raise TypeError(f"{op}: {name} must be an array of numbers, but its dtype is {value.dtype}")
    return jnp.asarray(value)


def as_key(op: str, name: str, value: object) -> Array:
    """Return one typed random key; the raw uint32 keys of `jax.random.PRNGKey` are converted."""
    must = f"{op}: {name} must be a key of jax.random.key or jax.random.PRNGKey"
    if not isinstance(value, (jax.Array, np.ndarray)):
        raise TypeError(f"{must}, but got {value!r:.40}")
    key = jnp.asarray(value)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        one: tuple[int, ...] = ()
    elif key.dtype == np.uint32:
        one = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape
    else:
        raise TypeError(f"{must}, but got an array of {key.dtype}")
    if key.shape != one:
        raise ValueError(
            f"{op}: {name} must be one key, of shape {one}, but its shape is {key.shape}"
        )
    return jax.random.wrap_key_data(key) if one else key


def check_floating(op: str, **arrays: Array | None) -> None:
    """Raise unless all arrays (None is skipped) share one floating dtype."""
    present = {name: array.dtype for name, array in arrays.items() if array is not None}
    for name, dtype in present.items():
        if dtype not in FLOATS:
            raise TypeError(
                f"{op}: {name} must be a floating-point array, but its dtype is {dtype}"
            )
    (first, expected), *others = present.items()
    for name, dtype in others:
        if dtype != expected:
            raise TypeError(
                f"{op}: {first} is {expected}, but {name} is {dtype} (one dtype is expected)"
            )


def check_number(op: str, **arrays: Array) -> None:
    """Raise unless every array has an integer dtype or one of `FLOATS`."""
    for name, array in arrays.items():
        if array.dtype not in FLOATS and not jnp.issubdtype(array.dtype, jnp.integer):
            raise TypeError(
                f"{op}: {name} must be floating-point or integer, but its dtype is {array.dtype}"
            )


def aligned(*arrays: Array | None) -> tuple[Any, ...]:
    """Return the arrays, inside `jax.shard_map` marked as varying over the same mesh axes.

    A `custom_vjp` must return for each argument a cotangent that varies over the same axes as the
    argument. Weights may be equal on all devices while the images, and so the gradients of the
    weights, differ. If the weights are marked as varying, JAX sums their cotangents over the
    devices.
    """
    axes = [_varying_axes(array) for array in arrays if array is not None]
    everywhere = frozenset().union(*axes)
    return tuple(
        array
        if array is None or not (missing := everywhere - _varying_axes(array))
        else lax.pcast(array, tuple(missing), to="varying")
        for array in arrays
    )


def _varying_axes(array: Array) -> frozenset[Hashable]:
    """Return the mesh axes over which the array varies in `jax.shard_map`; outside, none."""
    kind = getattr(jax.typeof(array), "manual_axis_type", None)
    return frozenset() if kind is None else kind.varying


def per_channel(values: Array, x: Array, axis: int) -> Array:
    """Return one number per channel in the accumulator dtype, shaped to broadcast against x."""
    shape = (1,) * axis + values.shape + (1,) * (x.ndim - axis - 1)
    return values.astype(accumulator(x.dtype)).reshape(shape)


def of_rank(array: Array, ndim: int) -> Array:
    """Return the array with axes of size 1 in front, so that it has this rank."""
    return lax.expand_dims(array, range(ndim - array.ndim))


def check_shape(op: str, name: str, array: Array | None, expected: tuple[int, ...]) -> None:
    """Raise unless the array (None is skipped) has exactly this shape."""
    if array is not None and array.shape != expected:
        raise ValueError(f"{op}: {name} must have shape {expected}, but its shape is {array.shape}")


def check_option(op: str, name: str, value: object, options: object) -> None:
    """Raise unless `value` is one of the strings of the `Literal` type `options`."""
    if not isinstance(value, str) or value not in get_args(options):
        expected = ", ".join(map(repr, get_args(options)))
        raise ValueError(f"{op}: {name} must be one of {expected}, but got {value!r}")


def as_bool(op: str, name: str, value: object) -> bool:
    """Return `value` as a bool; raise TypeError unless it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be True or False, but got {value!r}")
    return bool(value)


def as_float(op: str, name: str, value: object, minimum: float = -math.inf) -> float:
    """Return a finite Python or numpy number as a float; raise if it is below `minimum`."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be a number, but got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{op}: {name} must be finite, but got {value!r}")
    if number < minimum:
        raise ValueError(f"{op}: {name} must be at least {minimum:g}, but got {value!r}")
    return number


def as_int(op: str, name: str, value: object, minimum: int, maximum: int = 2**31 - 1) -> int:
    """Return an integer in [minimum, maximum]; raise for bools and floats."""
    try:
        integer = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        integer = None
    if integer is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be an int, but got {value!r}")
    if integer < minimum:
        raise ValueError(f"{op}: {name} must be at least {minimum}, but got {value!r}")
    if integer > maximum:
        raise ValueError(f"{op}: {name} must be at most {maximum}, but got {value!r}")
    return integer


def as_axis(op: str, axis: object, x: Array) -> int:
    """Return an axis of x, counted from 0; a negative number counts from the end."""
    if x.ndim == 0:
        raise ValueError(f"{op}: x must have at least 1 axis, but its shape is ()")
    return as_int(op, "axis", axis, -x.ndim, x.ndim - 1) % x.ndim


def per_dimension(op: str, name: str, value: object, dims: int, minimum: int) -> tuple[int, ...]:
    """Return a tuple with one int per spatial dimension; a single int counts for all of them."""
    if not is_sequence(value):
        return (as_int(op, name, value, minimum),) * dims
    if len(value) != dims:
        raise ValueError(
            f"{op}: {name} must be an int or {dims} ints, one per spatial dimension,"
            f" but got {tuple(value)!r}"
        )
    return tuple(as_int(op, f"{name}[{d}]", v, minimum) for d, v in enumerate(value))


def as_axes(op: str, name: str, axes: object, x: Array, minimum: int = 1) -> tuple[int, ...]:
    """Return one axis or at least `minimum` different axes of x, sorted and counted from 0."""
    given = tuple(axes) if is_sequence(axes) else (axes,)
    ints = [as_int(op, name, value, -(2**31)) for value in given]
    found = {value % max(x.ndim, 1) for value in ints if -x.ndim <= value < x.ndim}
    if len(ints) < minimum or len(found) != len(ints):
        several = "one or several" if minimum else "any"
        raise ValueError(
            f"{op}: {name} must be {several} different axes of x of shape {x.shape},"
            f" but got {axes!r}"
        )
    return tuple(sorted(found))


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether `value` is a tuple, a list, or an array with at least one axis."""
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def as_precision(op: str, value: Any) -> Precisions:
    """Return None, a `lax.Precision`, or a pair of them (for the two factors of a product).

    None means the setting of `jax.default_matmul_precision`. It is looked up here, while the
    forward pass is traced, because a context around it may not be around the backward pass.
    """
    if value is None:
        return _precision(jax.config.jax_default_matmul_precision)  # type: ignore[attr-defined]
    pair = is_sequence(value) and len(value) == 2
    named = map(_precision, value if pair else (value,))
    precisions = [precision for precision in named if precision is not None]
    if len(precisions) < 1 + pair:
        raise ValueError(
            f"{op}: precision must be None, 'default', 'high', 'highest', a jax.lax.Precision"
            f" or a pair of them, but got {value!r}"
        )
    return (precisions[0], precisions[1]) if pair else precisions[0]


def _precision(value: object) -> lax.Precision | None:
    if isinstance(value, lax.Precision):
        return value
    try:
        return lax.Precision(value.lower()) if isinstance(value, str) else None
    except ValueError:
        return None


def accumulator(dtype: DType) -> DType:
    """Return the dtype in which sums of `dtype` are accumulated: float32 for 16-bit floats."""
    return np.dtype(np.float32) if jnp.finfo(dtype).bits == 16 else dtype
