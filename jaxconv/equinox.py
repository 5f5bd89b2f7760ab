"""Layers of `equinox.nn` with this library's backward passes: `jaxconv.equinox.LayerNorm`, ….

Each class inherits everything from the class of Equinox of the same name but `__call__`: its
constructor, its fields, and so its checkpoints. A network imports the class from here instead, and
gives the same numbers up to rounding. As in Equinox, a layer takes one example without a batch
axis, and `jax.vmap` maps it over the batch.

Where the rules do not cover an option (complex numbers, a large padding, …), `__call__` runs the
code of Equinox; each docstring says when. The rules have a backward pass only: `jax.jvp` of a
layer raises an error.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

import jaxconv
from jaxconv._core.extras import needs
from jaxconv._core.symbolic import at_least
from jaxconv.normalization._mixed import (
    are_floating,
    batch_norm_inference_mixed,
    batch_norm_mixed,
    normalize_mixed,
    takes_eps,
)
from jaxconv.normalization._normalize import Groups

with needs("equinox"):
    import equinox as eqx

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "GroupNorm",
    "LayerNorm",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "RMSNorm",
]

_NO_STATE: Any = object()  # the default of an argument that may be anything


class BatchNorm(eqx.nn.BatchNorm):
    """`equinox.nn.BatchNorm`, computed by `jaxconv.batch_norm` and `batch_norm_inference`.

    It inherits the constructor, both modes, the fields weight and bias, and the running statistics
    in the state. As in Equinox, `jax.vmap` with `axis_name` makes the batch.

    Equinox's own code runs for complex numbers and integers, for more than 3 spatial dimensions,
    for names that are not strings, and if x has another dtype than the running statistics of
    mode "ema", which is an error.

    Example:
        >>> import equinox as eqx
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer, state = eqx.nn.make_with_state(BatchNorm)(1, "batch", mode="batch")
        >>> batch = jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        >>> y, state = batch(jnp.array([[1.0], [3.0]]), state)
        >>> print(y.round(3)[:, 0])
        [-1.  1.]
    """

    def __call__(
        self, x: Array, state: Any, *, key: Array | None = None, inference: bool | None = None
    ) -> tuple[Array, Any]:
        """Normalize one example by the statistics of the batch, or by the running ones.

        Args:
            x: the example, (C, *spatial).
            state: the state that holds the running statistics.
            key: ignored.
            inference: overrides the field of that name.

        Returns:
            (y, state): y in the shape of x, and the new state.
        """
        inference = self.inference if inference is None else inference
        running = state.get(self.ema_state_index if self.mode == "ema" else self.batch_state_index)
        names = self.axis_name if isinstance(self.axis_name, tuple | list) else (self.axis_name,)
        affine = (self.weight, self.bias) if self.channelwise_affine else ()
        if not (
            1 <= x.ndim <= 4
            and x.shape[0] == self.input_size
            and are_floating(x.dtype, *(array.dtype for array in (*running, *affine)))
            and all(isinstance(name, str) for name in names)
            and (self.mode == "batch" or x.dtype == running[0].dtype)
            and takes_eps(self.eps)
        ):
            return super().__call__(x, state, key=key, inference=inference)
        weight, bias = affine or (None, None)
        if inference:
            mean, var = running if self.mode == "ema" else self._debiased(state)
        else:
            y, *moments = batch_norm_mixed(x[None], weight, bias, 1, self.eps, tuple(names))
            state = self._updated(state, running, x, moments)
            if self.mode == "batch":
                return y[0].astype(jnp.result_type(x, *affine)), state
            mean, var = state.get(self.ema_state_index)
        y = batch_norm_inference_mixed(x[None], weight, bias, mean, var, 1, self.eps)
        return y[0].astype(jnp.result_type(x, mean, var, *affine)), state

    def _debiased(self, state: Any) -> list[Array]:
        """Return the running statistics without the share of their initial zeros, as in Adam."""
        count = state.get(self.batch_counter)
        share = jnp.where(count == 0, 1, 1 - self.momentum**count)
        return [statistic / share for statistic in state.get(self.batch_state_index)]

    def _updated(self, state: Any, running: Any, x: Array, moments: list[Array]) -> Any:
        """Return the state with the running statistics moved towards those of the batch."""
        wanted = [m.astype(jnp.result_type(x, r)) for m, r in zip(moments, running, strict=True)]
        moved = [
            self.momentum * r + (1 - self.momentum) * m
            for r, m in zip(running, wanted, strict=True)
        ]
        if self.mode == "batch":
            state = state.set(self.batch_counter, state.get(self.batch_counter) + 1)
            return state.set(self.batch_state_index, tuple(moved))
        first = state.get(self.ema_first_time_index)
        new = [jnp.where(first, m, r) for m, r in zip(wanted, moved, strict=True)]
        state = state.set(self.ema_first_time_index, jnp.array(False))
        return state.set(self.ema_state_index, tuple(new))


class LayerNorm(eqx.nn.LayerNorm):
    """`equinox.nn.LayerNorm`, computed by the rule of `jaxconv.layer_norm`.

    It inherits the constructor and the fields weight and bias.

    Equinox's own code runs for complex numbers and integers, and for another shape than that of
    the constructor, which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> print(LayerNorm(2)(jnp.array([1.0, 3.0])).round(3))
        [-1.  1.]
    """

    def __call__(self, x: Array, state: Any = _NO_STATE, *, key: Array | None = None) -> Any:
        """Normalize all numbers of x together.

        Args:
            x: the input, in the shape given to the constructor.
            state: returned as it is.
            key: ignored.

        Returns:
            y in the shape and dtype of x; with a state, (y, state).
        """
        if x.shape == self.shape and _covers(self, x):
            y = _normalized(self, _of_all(self, x), x)
        else:
            y = super().__call__(x)
        return y if state is _NO_STATE else (y, state)


class RMSNorm(eqx.nn.RMSNorm):
    """`equinox.nn.RMSNorm`, computed by the rule of `jaxconv.rms_norm`.

    It inherits the constructor and the fields weight and bias.

    Equinox's own code runs for complex numbers and integers, and for another shape than that of
    the constructor, which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> print(RMSNorm(2)(jnp.array([3.0, -3.0])).round(3))
        [ 1. -1.]
    """

    def __call__(self, x: Array, state: Any = _NO_STATE, *, key: Array | None = None) -> Any:
        """Divide x by the root mean square of all its numbers.

        Args:
            x: the input, in the shape given to the constructor.
            state: returned as it is.
            key: ignored.

        Returns:
            y in the shape and dtype of x; with a state, (y, state).
        """
        if x.shape == self.shape and _covers(self, x):
            y = _normalized(self, _of_all(self, x, centred=False), x)
        else:
            y = super().__call__(x)
        return y if state is _NO_STATE else (y, state)


class GroupNorm(eqx.nn.GroupNorm):
    """`equinox.nn.GroupNorm`, computed by the rule of `jaxconv.group_norm`.

    It inherits the constructor and the fields weight and bias.

    Equinox's own code runs for complex numbers and integers, and for shapes that are an error.

    Example:
        >>> import jax.numpy as jnp
        >>> print(GroupNorm(2, 4)(jnp.array([1.0, 3.0, 2.0, 6.0])).round(3))
        [-1.  1. -1.  1.]
    """

    def __call__(self, x: Array, state: Any = _NO_STATE, *, key: Array | None = None) -> Any:
        """Normalize one example, each group of channels by itself.

        Args:
            x: the example, (C, *spatial).
            state: returned as it is.
            key: ignored.

        Returns:
            y in the shape and dtype of x; with a state, (y, state).
        """
        fits = x.ndim >= 1 and self.groups >= 1 and x.shape[0] % self.groups == 0
        if fits and _covers(self, x) and (self.weight is None or self.weight.shape == x.shape[:1]):
            spatial = tuple(range(1, x.ndim))
            g = Groups(spatial, (0,), float(self.eps), channel_groups=self.groups)
            y = _normalized(self, g, x)
        else:
            y = super().__call__(x)
        return y if state is _NO_STATE else (y, state)


def _covers(layer: Any, x: Array) -> bool:
    dtypes = (None if array is None else array.dtype for array in (layer.weight, layer.bias))
    return are_floating(x.dtype, *dtypes) and takes_eps(layer.eps)


def _of_all(layer: Any, x: Array, centred: bool = True) -> Groups:
    """Return the groups that are all of x, with a weight and a bias for each number."""
    axes = tuple(range(x.ndim))
    return Groups(axes, axes, float(layer.eps), centred=centred)


def _normalized(layer: Any, g: Groups, x: Array) -> Array:
    return normalize_mixed(g, x, layer.weight, layer.bias, x.dtype)


class _MaxPool(eqx.nn.Pool):
    """Max pooling in any number of dimensions."""

    def __call__(self, x: Array, *, key: Array | None = None) -> Array:
        """Return the maximum of each window.

        Args:
            x: the example, (C, *spatial).
            key: ignored.

        Returns:
            The maxima, (C, *spatial_out).
        """
        if not _takes(self, x, [k // 2 for k in self.kernel_size]):
            return super().__call__(x, key=key)
        y = jaxconv.max_pool(
            x[None], self.kernel_size, stride=self.stride, padding=self.padding,
            ceil_mode=self.use_ceil, layout="channels_first",
        )  # fmt: skip
        return y[0]


class _AvgPool(eqx.nn.Pool):
    """Mean pooling in any number of dimensions."""

    def __call__(self, x: Array, *, key: Array | None = None) -> Array:
        """Return the mean of each window, in which the zeros of the padding count.

        Args:
            x: the example, (C, *spatial).
            key: ignored.

        Returns:
            The means, (C, *spatial_out).
        """
        if not _takes(self, x, self.kernel_size):
            return super().__call__(x, key=key)
        y = jaxconv.avg_pool(
            x[None], self.kernel_size, stride=self.stride, padding=self.padding,
            ceil_mode=self.use_ceil, divisor=math.prod(self.kernel_size), layout="channels_first",
        )  # fmt: skip
        return y[0]


def _takes(pool: eqx.nn.Pool, x: Array, most: Sequence[int]) -> bool:
    """Return whether the ops pool as Equinox does; `most` is the largest padding."""
    if x.ndim != pool.num_spatial_dims + 1 or not are_floating(x.dtype):
        return False
    dimensions = zip(x.shape[1:], pool.kernel_size, pool.stride, pool.padding, most, strict=True)
    return all(
        # Equinox rounds up by a padding of one more stride, which must not exceed the window.
        0 <= min(pair) <= max(pair) <= limit
        and (not pool.use_ceil or pair[1] + s <= k)
        and at_least(n + sum(pair), k)
        for n, k, s, pair, limit in dimensions
    )


class _AdaptiveAvgPool(eqx.nn.AdaptivePool):
    """Adaptive mean pooling in any number of dimensions."""

    def __call__(self, x: Array, *, key: Array | None = None) -> Array:
        """Return the mean of each of the windows that cover x.

        Args:
            x: the example, (C, *spatial).
            key: ignored.

        Returns:
            The means, (C, *target_shape).
        """
        if not _divides(self, x):
            return super().__call__(x, key=key)
        for d, target in enumerate(self.target_shape):
            x = _pool_along(jaxconv.avg_pool, x, d, target)
        return x


class _AdaptiveMaxPool(eqx.nn.AdaptivePool):
    """Adaptive max pooling in any number of dimensions."""

    def __call__(self, x: Array, *, key: Array | None = None) -> Array:
        """Return the maximum of each of the windows that cover x.

        Args:
            x: the example, (C, *spatial).
            key: ignored.

        Returns:
            The maxima, (C, *target_shape).
        """
        if not _divides(self, x):
            return super().__call__(x, key=key)
        # Equinox pools one dimension after the other, and equal values share the gradient of each.
        for d, target in enumerate(self.target_shape):
            x = _pool_along(partial(jaxconv.max_pool, ties="split"), x, d, target)
        return x


def _divides(pool: eqx.nn.AdaptivePool, x: Array) -> bool:
    """Return whether x has a position for each window; otherwise Equinox raises an error."""
    return (
        x.ndim - 1 == len(pool.target_shape)
        and are_floating(x.dtype)
        and all(1 <= o <= n for n, o in zip(x.shape[1:], pool.target_shape, strict=True))
    )


def _pool_along(op: Callable[..., Array], x: Array, d: int, windows: int) -> Array:
    """Pool one dimension to some windows side by side, the first n % windows longer by one."""
    n, dims = x.shape[1 + d], x.ndim - 1
    size, longer = divmod(n, windows)
    split = longer * (size + 1)
    parts = [
        op(
            lax.slice_in_dim(x, start, stop, axis=1 + d)[None],
            [k if axis == d else 1 for axis in range(dims)],
            layout="channels_first",
        )[0]
        for start, stop, k in ((0, split, size + 1), (split, n, size))
        if start < stop
    ]
    return jnp.concatenate(parts, 1 + d)


class MaxPool1d(_MaxPool, eqx.nn.MaxPool1d):
    """`equinox.nn.MaxPool1d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than half the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool1d(2)(jnp.array([[1.0, 3.0, 2.0]])).tolist()
        [[3.0, 3.0]]
    """


class MaxPool2d(_MaxPool, eqx.nn.MaxPool2d):
    """`equinox.nn.MaxPool2d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than half the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool2d(2)(jnp.array([[[1.0, 3.0], [2.0, 0.0]]])).tolist()
        [[[3.0]]]
    """


class MaxPool3d(_MaxPool, eqx.nn.MaxPool3d):
    """`equinox.nn.MaxPool3d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than half the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool3d((1, 2, 2))(jnp.array([[[[1.0, 3.0], [2.0, 0.0]]]])).tolist()
        [[[[3.0]]]]
    """


class AvgPool1d(_AvgPool, eqx.nn.AvgPool1d):
    """`equinox.nn.AvgPool1d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool1d(2)(jnp.array([[1.0, 3.0, 2.0]])).tolist()
        [[2.0, 2.5]]
    """


class AvgPool2d(_AvgPool, eqx.nn.AvgPool2d):
    """`equinox.nn.AvgPool2d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool2d(2)(jnp.array([[[1.0, 3.0], [2.0, 0.0]]])).tolist()
        [[[1.5]]]
    """


class AvgPool3d(_AvgPool, eqx.nn.AvgPool3d):
    """`equinox.nn.AvgPool3d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields. Equinox's own code runs for complex numbers and
    integers, for a padding of more than the window, and where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool3d((1, 2, 2))(jnp.array([[[[1.0, 3.0], [2.0, 0.0]]]])).tolist()
        [[[[1.5]]]]
    """


class AdaptiveMaxPool1d(_AdaptiveMaxPool, eqx.nn.AdaptiveMaxPool1d):
    """`equinox.nn.AdaptiveMaxPool1d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool1d(2)(jnp.array([[1.0, 3.0, 2.0]])).tolist()
        [[3.0, 2.0]]
    """


class AdaptiveMaxPool2d(_AdaptiveMaxPool, eqx.nn.AdaptiveMaxPool2d):
    """`equinox.nn.AdaptiveMaxPool2d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool2d(1)(jnp.array([[[1.0, 3.0], [2.0, 0.0]]])).tolist()
        [[[3.0]]]
    """


class AdaptiveMaxPool3d(_AdaptiveMaxPool, eqx.nn.AdaptiveMaxPool3d):
    """`equinox.nn.AdaptiveMaxPool3d`, computed by `jaxconv.max_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool3d(1)(jnp.array([[[[1.0, 3.0], [2.0, 0.0]]]])).tolist()
        [[[[3.0]]]]
    """


class AdaptiveAvgPool1d(_AdaptiveAvgPool, eqx.nn.AdaptiveAvgPool1d):
    """`equinox.nn.AdaptiveAvgPool1d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool1d(2)(jnp.array([[1.0, 3.0, 2.0]])).tolist()
        [[2.0, 2.0]]
    """


class AdaptiveAvgPool2d(_AdaptiveAvgPool, eqx.nn.AdaptiveAvgPool2d):
    """`equinox.nn.AdaptiveAvgPool2d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool2d(1)(jnp.array([[[1.0, 3.0], [2.0, 0.0]]])).tolist()
        [[[1.5]]]
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPool, eqx.nn.AdaptiveAvgPool3d):
    """`equinox.nn.AdaptiveAvgPool3d`, computed by `jaxconv.avg_pool`.

    It inherits the constructor and all fields, and has Equinox's windows, which never overlap.
    Equinox's own code runs for complex numbers and integers, and for more windows than positions,
    which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool3d(1)(jnp.array([[[[1.0, 3.0], [2.0, 0.0]]]])).tolist()
        [[[[1.5]]]]
    """
