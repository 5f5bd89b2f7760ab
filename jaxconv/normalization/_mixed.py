"""The normalizations for arrays of several dtypes, which the layers of other libraries have.

The ops themselves take arrays of one dtype. Arrays of several are first converted to float32, or
to float64 if one of them has it, so that y is rounded to its own dtype once.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from jaxconv._core.arguments import FLOATS, DType, Layout, aligned
from jaxconv.normalization._normalize import Groups, normalize
from jaxconv.normalization.batch_norm import AxisName, batch_norm, batch_norm_inference


def are_floating(*dtypes: DTypeLike | None) -> bool:
    """Return whether the ops take all of these dtypes (None is skipped)."""
    return all(np.dtype(dtype) in FLOATS for dtype in dtypes if dtype is not None)


def takes_eps(eps: Any) -> bool:
    """Return whether the rules take this ε: a Python number, which is not negative."""
    return type(eps) in (int, float) and 0 <= eps < math.inf


def wide_dtype(*dtypes: DTypeLike) -> DType:
    """Return the dtype to compute in: float64 if one of the dtypes is float64, else float32."""
    double = np.dtype(np.float64)
    return double if double in [np.dtype(dtype) for dtype in dtypes] else np.dtype(np.float32)


def normalize_mixed(
    g: Groups, x: Array, scale: Array | None, bias: Array | None, dtype: DTypeLike
) -> Array:
    """Return `normalize`'s y in `dtype`.

    scale and bias may have any shape that holds one number for each index of `g.affine`.
    """
    dtypes = {np.dtype(dtype), *(array.dtype for array in _present(x, scale, bias))}
    work = x.dtype if dtypes == {x.dtype} else wide_dtype(*dtypes)
    shape = tuple(x.shape[axis] for axis in g.affine)
    scale, bias = (None if p is None else p.astype(work).reshape(shape) for p in (scale, bias))
    y, *_ = normalize(g, *aligned(x.astype(work), scale, bias))
    return y.astype(dtype)


def takes_channels(x: Array, axes: tuple[int, ...]) -> bool:
    """Return whether the batch norms take x with its channels on these axes."""
    return 2 <= x.ndim <= 5 and axes in ((1,), (x.ndim - 1,))


def batch_norm_mixed(
    x: Array, scale: Array | None, bias: Array | None, axis: int, eps: float, axis_name: AxisName
) -> tuple[Array, Array, Array]:
    """Return (y, mean, var) of `jaxconv.batch_norm` in the wide dtype.

    Raises:
        NameError: as in `jax.lax.pmean`, if `axis_name` is not of an axis that is mapped here.
    """
    if axis_name is not None:
        lax.axis_size(axis_name)
    x, scale, bias = _wide(x, axis, scale, bias)
    return batch_norm(x, scale, bias, eps=eps, axis_name=axis_name, layout=_layout(x, axis))


def batch_norm_inference_mixed(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    mean: Array,
    var: Array,
    axis: int,
    eps: float,
) -> Array:
    """Return y of `jaxconv.batch_norm_inference` in the wide dtype."""
    x, scale, bias, mean, var = _wide(x, axis, scale, bias, mean, var)
    return batch_norm_inference(x, scale, bias, mean, var, eps=eps, layout=_layout(x, axis))


def _wide(
    x: Array, axis: int, scale: Array | None, bias: Array | None, *statistics: Array
) -> tuple[Array, ...]:
    """Return all arrays in the wide dtype, with a scale of 1 and a bias of 0 where it is None."""
    arrays = _present(x, scale, bias, *statistics)
    work = wide_dtype(*(array.dtype for array in arrays))
    channels = x.shape[axis : axis + 1]
    scale = jnp.ones(channels, work) if scale is None else scale
    bias = jnp.zeros(channels, work) if bias is None else bias
    return tuple(array.astype(work) for array in (x, scale, bias, *statistics))


def _layout(x: Array, axis: int) -> Layout:
    return "channels_last" if axis == x.ndim - 1 else "channels_first"


def _present(*arrays: Array | None) -> list[Array]:
    return [array for array in arrays if array is not None]
