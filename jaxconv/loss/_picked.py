"""Cross-entropy of integer labels without weights, from one log-probability per example.

As probabilities, a label would be a row of zeros and a one, and the loss the sum over the classes
of this row times log p. Here log p is picked at the label, and the row is never built.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, accumulator, of_rank
from jaxconv._core.rule import Rule
from jaxconv.loss._labels import as_classes, nan_unless
from jaxconv.loss._reduction import reduce_weighted, spread_weighted

Residuals = tuple[Array, Array, Array, Array, Array | None]
"""z, the labels, m, log Σ exp(z − m), and the weight of a mean."""


def _picked_forward(
    ignore_index: int | None, reduction: Reduction, z: Array, labels: Array
) -> tuple[Array, Residuals]:
    """Compute ℓ = −log p_t = log Σ exp(z − m) − (z_t − m).

    If z holds a +∞, ℓ is NaN, as in the loss that sums over all classes.
    """
    wide = z.astype(accumulator(z.dtype))
    # A shift by the maximum keeps exp from overflowing. It cancels, so it needs no derivative.
    shift = jax.lax.stop_gradient(jnp.max(wide, axis=-1))
    log_total = jnp.log(jnp.sum(jnp.exp(wide - shift[..., None]), axis=-1))
    label, counts, valid = _read(ignore_index, z.shape[-1], labels)
    found = jnp.take_along_axis(wide, label[..., None], axis=-1, mode="clip")[..., 0]
    each = log_total - (found - shift) + nan_unless(valid, wide.dtype)
    each = jnp.where(counts, each, 0)  # not even a NaN counts
    y, weight = reduce_weighted(reduction, each, counts.astype(wide.dtype))
    return y.astype(z.dtype), (z, labels, shift, log_total, weight)


def _picked_backward(
    ignore_index: int | None, reduction: Reduction, residuals: Residuals, dy: Array
) -> tuple[Array, None]:
    """Compute dz_c = dℓ · (p_c − [c = t])."""
    z, labels, shift, log_total, weight = residuals
    wide = z.astype(accumulator(z.dtype))
    label, counts, valid = _read(ignore_index, z.shape[-1], labels)
    d_each = spread_weighted(dy.astype(wide.dtype), weight)
    d_each = (d_each + nan_unless(valid, wide.dtype))[..., None]
    p = jnp.exp(wide - shift[..., None] - log_total[..., None])
    classes = of_rank(jnp.arange(z.shape[-1], dtype=label.dtype), z.ndim)
    at_label = label[..., None] == classes
    dz = jnp.where(counts[..., None], d_each * (p - at_label.astype(p.dtype)), 0)
    return dz.astype(z.dtype), None


picked = Rule(_picked_forward, _picked_backward, static=2, name="softmax_cross_entropy")


def _read(ignore_index: int | None, classes: int, labels: Array) -> tuple[Array, Array, Array]:
    """Return the labels, which of them count, and which are either classes or do not count."""
    counts = (
        labels != ignore_index if ignore_index is not None else jnp.full_like(labels, True, bool)
    )
    label, valid = as_classes(labels, classes)
    return label, counts, valid | ~counts
