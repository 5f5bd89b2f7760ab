"""Layers of `flax.nnx` with this library's backward passes: `jaxconv.flax.nnx.LayerNorm`, ….

Each class inherits everything from the class of Flax of the same name but `__call__`: its
constructor, its variables, and so its checkpoints. A network imports the class from here instead,
and gives the same numbers up to rounding. The variance is always the mean of (x − mean)², which is
more exact than Flax's fast variance E[x²] − E[x]².

Where the rules do not cover an option (a mask, complex numbers, …), `__call__` runs the code of
Flax; each docstring says when. The rules have a backward pass only: `jax.jvp` of a layer raises an
error.
"""

from typing import Any

from jax import Array, lax

from jaxconv._core.extras import needs
from jaxconv.flax._arguments import axes_of, dtype_of, takes_options
from jaxconv.flax._pooling import avg_pool, max_pool, min_pool
from jaxconv.normalization._mixed import (
    are_floating,
    batch_norm_inference_mixed,
    batch_norm_mixed,
    normalize_mixed,
    takes_channels,
    wide_dtype,
)
from jaxconv.normalization._normalize import Groups

with needs("flax"):
    from flax import nnx

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


class BatchNorm(nnx.BatchNorm):
    """`flax.nnx.BatchNorm`, computed by `jaxconv.batch_norm` and `batch_norm_inference`.

    It inherits the constructor, the variables scale, bias, mean and var, and the switch between
    training and evaluation. With `axis_name` the rule sums over the devices of that axis.

    Flax's own code runs for `mask`, `axis_index_groups`, complex numbers and integers, and if
    `axis` is neither 1 nor the last one or x has fewer than 2 or more than 5 axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> layer = BatchNorm(1, momentum=0.5, rngs=nnx.Rngs(0))
        >>> print(layer(jnp.array([[1.0], [3.0]])).round(3)[:, 0], layer.mean[...])
        [-1.  1.] [1.]
    """

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
            use_running_average: overrides the option of that name.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        own = self.use_running_average
        running = own if use_running_average is None else use_running_average
        axes = axes_of(self.axis, x.ndim)
        arrays = _promoted(self, x, self.mean, self.var, self.scale, self.bias)
        if running is None or not takes_channels(x, axes) or not _covers(self, mask, arrays):
            return super().__call__(x, use_running_average, mask=mask)
        x, mean, var, scale, bias = arrays
        axis, epsilon, dtype = axes[0], float(self.epsilon), dtype_of(self, x, scale, bias)
        if running:
            y = batch_norm_inference_mixed(x, scale, bias, mean, var, axis, epsilon)
            return y.astype(dtype)
        y, *moments = batch_norm_mixed(x, scale, bias, axis, epsilon, self.axis_name)
        for variable, moment in zip((self.mean, self.var), moments, strict=True):
            new = moment.astype(wide_dtype(dtype_of(self, x)))
            updated = self.momentum * variable[...] + (1 - self.momentum) * new
            variable[...] = lax.stop_gradient(updated)
        return y.astype(dtype)


class LayerNorm(nnx.LayerNorm):
    """`flax.nnx.LayerNorm`, computed by the rule of `jaxconv.layer_norm`.

    It inherits the constructor and the variables scale and bias; any `reduction_axes` and
    `feature_axes` will do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> print(LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([1.0, 3.0])).round(3))
        [-1.  1.]
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize x along the reduction axes.

        Args:
            x: the input.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        arrays = _promoted(self, x, self.scale, self.bias)
        if self.axis_name is not None or not _covers(self, mask, arrays):
            return super().__call__(x, mask=mask)
        reduction, feature = (
            axes_of(self.reduction_axes, x.ndim),
            axes_of(self.feature_axes, x.ndim),
        )
        g = Groups(reduction, feature, float(self.epsilon))
        return _normalized(self, g, *arrays)


class RMSNorm(nnx.RMSNorm):
    """`flax.nnx.RMSNorm`, computed by the rule of `jaxconv.rms_norm`.

    It inherits the constructor and the variable scale; any `reduction_axes` and `feature_axes` will
    do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> print(RMSNorm(2, rngs=nnx.Rngs(0))(jnp.array([3.0, -3.0])).round(3))
        [ 1. -1.]
    """

    def __call__(self, x: Array, mask: Array | None = None) -> Array:
        """Divide x by its root mean square along the reduction axes.

        Args:
            x: the input.
            mask: where x counts in the mean.

        Returns:
            y in the shape of x.
        """
        arrays = _promoted(self, x, self.scale)
        if self.axis_name is not None or not _covers(self, mask, arrays):
            return super().__call__(x, mask=mask)
        reduction, feature = (
            axes_of(self.reduction_axes, x.ndim),
            axes_of(self.feature_axes, x.ndim),
        )
        g = Groups(reduction, feature, float(self.epsilon), centred=False)
        return _normalized(self, g, *arrays)


class GroupNorm(nnx.GroupNorm):
    """`flax.nnx.GroupNorm`, computed by the rule of `jaxconv.group_norm`.

    It inherits the constructor and the variables scale and bias.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, and unless
    `reduction_axes` are the last axis and all but one of the others. (What it computes for other
    axes is no group norm.)

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> layer = GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))
        >>> print(layer(jnp.array([[1.0, 3.0, 2.0, 6.0]])).round(3))
        [[-1.  1. -1.  1.]]
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize each example, each group of channels by itself.

        Args:
            x: the input, with channels last.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        given = (*range(1, x.ndim - 1), -1) if self.reduction_axes is None else self.reduction_axes
        reduction, last = axes_of(given, x.ndim), x.ndim - 1
        arrays = _promoted(self, x, self.scale, self.bias)
        if (
            self.axis_name is not None
            or last not in reduction
            or len(reduction) != last
            or x.shape[last] != self.num_groups * self.group_size
            or not _covers(self, mask, arrays)
        ):
            return super().__call__(x, mask=mask)
        g = Groups(reduction[:-1], (last,), float(self.epsilon), channel_groups=self.num_groups)
        return _normalized(self, g, *arrays)


class InstanceNorm(nnx.InstanceNorm):
    """`flax.nnx.InstanceNorm`, computed by the rule of `jaxconv.instance_norm`.

    It inherits the constructor and the variables scale and bias; any `feature_axes` but the first
    will do.

    Flax's own code runs for `mask`, `axis_name`, complex numbers and integers, and for the first
    axis, which is an error.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> print(InstanceNorm(1, rngs=nnx.Rngs(0))(jnp.array([[[1.0], [3.0]]])).round(3)[0, :, 0])
        [-1.  1.]
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize each channel of each example.

        Args:
            x: the input, with the batch on the first axis.
            mask: where x counts in the statistics.

        Returns:
            y in the shape of x.
        """
        feature = axes_of(self.feature_axes, x.ndim)
        arrays = _promoted(self, x, self.scale, self.bias)
        if self.axis_name is not None or 0 in feature or not _covers(self, mask, arrays):
            return super().__call__(x, mask=mask)
        reduction = tuple(axis for axis in range(1, x.ndim) if axis not in feature)
        g = Groups(reduction, feature, float(self.epsilon))
        return _normalized(self, g, *arrays)


def _promoted(layer: Any, x: Array, *variables: Any) -> tuple[Any, ...]:
    """Return x and the values of the variables (or None), promoted as the layer is told to."""
    values = (None if variable is None else variable[...] for variable in variables)
    return tuple(layer.promote_dtype((x, *values), dtype=layer.dtype))


def _covers(layer: Any, mask: Array | None, arrays: tuple[Any, ...]) -> bool:
    dtypes = (None if array is None else array.dtype for array in arrays)
    return are_floating(*dtypes) and takes_options(layer, arrays[0], mask)


def _normalized(
    layer: Any, g: Groups, x: Array, scale: Array | None, bias: Array | None = None
) -> Array:
    return normalize_mixed(g, x, scale, bias, dtype_of(layer, x, scale, bias))
