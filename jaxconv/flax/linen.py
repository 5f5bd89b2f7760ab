"""Layers of `flax.linen` with this library's backward passes: `jaxconv.flax.linen.LayerNorm`, ….

Each class inherits everything from the class of Flax of the same name but `__call__`: its options,
the names of its parameters and of its running statistics, and so its checkpoints. A network
imports the class from here instead, and gives the same numbers up to rounding. The variance is
always the mean of (x − mean)², which is more exact than Flax's fast variance E[x²] − E[x]².

Where the rules do not cover an option (a mask, complex numbers, …), `__call__` runs the code of
Flax; each docstring says when. The rules have a backward pass only: `jax.jvp` of a layer raises an
error.
"""

import inspect
from typing import Any

from jax import Array

from jaxconv._core.extras import needs
from jaxconv.flax._arguments import axes_of, dtype_of, takes_options
from jaxconv.flax._pooling import avg_pool, max_pool, min_pool
from jaxconv.normalization._mixed import (
    batch_norm_inference_mixed,
    batch_norm_mixed,
    normalize_mixed,
    takes_channels,
    wide_dtype,
)
from jaxconv.normalization._normalize import Groups

with needs("flax"):
    from flax import linen

__all__ = [
    "BatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "RMSNorm",
    "avg_pool",
    "max_pool",
    "min_pool",
]


class BatchNorm(linen.BatchNorm):
    """`flax.linen.BatchNorm`, computed by `jaxconv.batch_norm` and `batch_norm_inference`.

    It inherits all options, the parameters scale and bias, and the running mean and var in the
    collection "batch_stats". With `axis_name` the rule sums over the devices of that axis.

    Flax's own code runs while a network is initialized, for `mask`, `axis_index_groups`, complex
    numbers and integers, for `force_float32_reductions=False`, and if `axis` is neither 1 nor the
    last one or x has fewer than 2 or more than 5 axes.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer = BatchNorm(use_running_average=False, momentum=0.5)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> y, state = layer.apply(layer.init(jax.random.key(0), x), x, mutable="batch_stats")
        >>> print(y.round(3)[:, 0], state["batch_stats"]["mean"])
        [-1.  1.] [1.]
    """

    @linen.compact
    def __call__(
        self,
        x: Array,
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """Normalize x, by the running statistics or by its own, which then update the running ones.

        Args:
            x: the input.
            use_running_average: the option of that name, if the constructor left it open.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        axes = axes_of(self.axis, x.ndim)
        if (
            self.is_initializing()
            or not takes_channels(x, axes)
            or not _covers(self, x, mask)
            or not all(self.has_variable("batch_stats", name) for name in ("mean", "var"))
        ):
            return _of_flax(super().__call__, x, use_running_average, mask=mask)
        running = linen.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        variables: list[Any] = [self.variable("batch_stats", name) for name in ("mean", "var")]
        scale, bias = _parameters(self, x, axes)
        axis, epsilon, dtype = axes[0], float(self.epsilon), dtype_of(self, x, scale, bias)
        if running:
            mean, var = (variable.value for variable in variables)
            y = batch_norm_inference_mixed(x, scale, bias, mean, var, axis, epsilon)
            return y.astype(dtype)
        y, *moments = batch_norm_mixed(x, scale, bias, axis, epsilon, self.axis_name)
        for variable, moment in zip(variables, moments, strict=True):
            new = moment.astype(wide_dtype(dtype_of(self, x)))
            variable.value = self.momentum * variable.value + (1 - self.momentum) * new
        return y.astype(dtype)


class LayerNorm(linen.LayerNorm):
    """`flax.linen.LayerNorm`, computed by the rule of `jaxconv.layer_norm`.

    It inherits all options and the parameters scale and bias; any `reduction_axes` and
    `feature_axes` will do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, and for
    `force_float32_reductions=False`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer = LayerNorm(use_scale=False, use_bias=False)
        >>> print(layer.apply({}, jnp.array([1.0, 3.0])).round(3))
        [-1.  1.]
    """

    @linen.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize x along the reduction axes.

        Args:
            x: the input.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        if self.axis_name is not None or not _covers(self, x, mask):
            return _of_flax(super().__call__, x, mask=mask)
        reduction = axes_of(self.reduction_axes, x.ndim)
        feature = axes_of(self.feature_axes, x.ndim)
        return _normalized(self, Groups(reduction, feature, float(self.epsilon)), x)


class RMSNorm(linen.RMSNorm):
    """`flax.linen.RMSNorm`, computed by the rule of `jaxconv.rms_norm`.

    It inherits all options and the parameter scale; any `reduction_axes` and `feature_axes` will
    do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, and for
    `force_float32_reductions=False`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer = RMSNorm()
        >>> x = jnp.array([3.0, -3.0])
        >>> print(layer.apply(layer.init(jax.random.key(0), x), x).round(3))
        [ 1. -1.]
    """

    @linen.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Divide x by its root mean square along the reduction axes.

        Args:
            x: the input.
            mask: where x counts in the mean.

        Returns:
            y in the shape of x.
        """
        if self.axis_name is not None or not _covers(self, x, mask):
            return _of_flax(super().__call__, x, mask=mask)
        reduction = axes_of(self.reduction_axes, x.ndim)
        feature = axes_of(self.feature_axes, x.ndim)
        g = Groups(reduction, feature, float(self.epsilon), centred=False)
        return _normalized(self, g, x)


class GroupNorm(linen.GroupNorm):
    """`flax.linen.GroupNorm`, computed by the rule of `jaxconv.group_norm`.

    It inherits all options and the parameters scale and bias; any `reduction_axes` with the last
    axis will do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, for
    `force_float32_reductions=False`, and for options that are an error.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer = GroupNorm(num_groups=2, use_scale=False, use_bias=False)
        >>> print(layer.apply({}, jnp.array([[1.0, 3.0, 2.0, 6.0]])).round(3))
        [[-1.  1. -1.  1.]]
    """

    @linen.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize x along the reduction axes, each group of channels by itself.

        Args:
            x: the input, with channels last.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        given = (*range(1, x.ndim - 1), -1) if self.reduction_axes is None else self.reduction_axes
        reduction, last = axes_of(given, x.ndim), x.ndim - 1
        groups = _group_count(self, x.shape[last])
        if (
            self.axis_name is not None
            or not groups
            or last not in reduction
            or not _covers(self, x, mask)
        ):
            return _of_flax(super().__call__, x, mask=mask)
        g = Groups(reduction[:-1], (last,), float(self.epsilon), channel_groups=groups)
        return _normalized(self, g, x)


class InstanceNorm(linen.InstanceNorm):
    """`flax.linen.InstanceNorm`, computed by the rule of `jaxconv.instance_norm`.

    It inherits all options and the parameters scale and bias; any `feature_axes` but the first
    will do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, for
    `force_float32_reductions=False`, and for options that are an error.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> layer = InstanceNorm(use_scale=False, use_bias=False)
        >>> print(layer.apply({}, jnp.array([[[1.0], [3.0]]])).round(3)[0, :, 0])
        [-1.  1.]
    """

    @linen.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize each channel of each example.

        Args:
            x: the input, with the batch on the first axis.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        feature = axes_of(self.feature_axes, x.ndim)
        if self.axis_name is not None or 0 in feature or not _covers(self, x, mask):
            return _of_flax(super().__call__, x, mask=mask)
        reduction = tuple(axis for axis in range(1, x.ndim) if axis not in feature)
        return _normalized(self, Groups(reduction, feature, float(self.epsilon)), x)


def _covers(layer: Any, x: Array, mask: Array | None) -> bool:
    return layer.force_float32_reductions and takes_options(layer, x, mask)


def _of_flax(method: Any, *args: Any, **kwargs: Any) -> Array:
    """Call Flax's own method, without what Flax does around each call.

    Flax has done that around the method that this is called from. A second time, it would record
    the output twice if a user captures intermediates.
    """
    return inspect.unwrap(method.__func__)(method.__self__, *args, **kwargs)


def _parameters(layer: Any, x: Array, axes: tuple[int, ...]) -> tuple[Array | None, Array | None]:
    """Return scale and bias in the shape of x along these axes, each None if there is none."""
    shape = tuple(x.shape[axis] for axis in axes)
    scale = bias = None
    if layer.use_scale:
        scale = layer.param("scale", layer.scale_init, shape, layer.param_dtype)
    if getattr(layer, "use_bias", False):  # RMSNorm has no such option
        bias = layer.param("bias", layer.bias_init, shape, layer.param_dtype)
    return scale, bias


def _group_count(layer: linen.GroupNorm, channels: int) -> int:
    """Return the number of groups, or 0 if the options are an error."""
    count, size = layer.num_groups, layer.group_size
    if count is not None and size is None and count > 0 and channels % count == 0:
        return count
    if size is not None and count is None and size > 0 and channels % size == 0:
        return channels // size
    return 0


def _normalized(layer: Any, g: Groups, x: Array) -> Array:
    scale, bias = _parameters(layer, x, g.affine)
    return normalize_mixed(g, x, scale, bias, dtype_of(layer, x, scale, bias))
