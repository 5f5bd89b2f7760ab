"""The jit-compiled functions of training."""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.stages import Compiled, Wrapped

import jaxconv
from jaxconv._core.extras import needs
from jaxconv.compiler import largest_array
from jaxconv.models import Model, Params
from jaxconv.train.batch import NO_IMAGE, OPS, take
from jaxconv.train.config import Config
from jaxconv.train.devices import AXIS, EACH, SHARED, on_each

with needs("train"):
    import optax


class Counts(NamedTuple):
    """The sums over a batch: arrays inside a jitted function, numbers outside."""

    images: Any
    loss: Any
    correct: Any


def loss_and_counts(
    model: Model,
    ops: ModuleType,
    params: Params,
    images: Array,
    labels: Array,
    precision: str = "float32",
    label_smoothing: float = 0.0,
) -> tuple[Array, Counts]:
    """Return the mean cross-entropy of a batch, and its counts; labels of NO_IMAGE do not count.

    With a precision of bfloat16, parameters and images are rounded to it and the logits are
    computed in it; the gradients have the original dtypes of the parameters and images.
    """
    narrow = precision == "bfloat16"
    if narrow:
        params, images = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, images))
    logits = model.apply(params, images, ops=ops)
    if narrow:
        logits = logits.astype(jnp.float32)
    loss = ops.softmax_cross_entropy(
        logits, labels, ignore_index=NO_IMAGE, label_smoothing=label_smoothing
    )
    present = labels != NO_IMAGE
    correct = jnp.sum((jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels) & present)
    count = jnp.sum(present)
    return loss, Counts(count, loss * count.astype(loss.dtype), correct)


def make_step(config: Config, model: Model, optimizer: Any) -> Wrapped:
    """Return a jitted training step.

    (params, state, images, labels, indices, key, taken) -> (params, state, counts), where `indices`
    says which images make up the batch, and `taken` how many steps were taken before.
    """
    ops = OPS[config.gradients]

    def gradient(
        params: Params, images: Array, labels: Array, indices: Array, moves: Array
    ) -> tuple[Params, Counts]:
        """Return the gradient of the whole batch's mean; each device has a share of the batch."""
        batch, batch_labels = take(images, labels, indices)
        if config.shift:
            batch = moved(batch, moves, config.shift)

        def objective(params: Params) -> tuple[Array, Counts]:
            loss, counts = loss_and_counts(
                model, ops, params, batch, batch_labels, config.precision, config.label_smoothing
            )
            if config.devices == 1:
                return loss, counts
            # A device's loss is the mean over its own images, so weight it by its share of them.
            # The gradient of the parameters, which all devices share, is summed over the devices.
            own, counts = counts.images, lax.psum(counts, AXIS)
            return loss * (own.astype(loss.dtype) / counts.images.astype(loss.dtype)), counts

        return jax.grad(objective, has_aux=True)(params)

    gradient_of_all = on_each(config, gradient, SHARED, SHARED, SHARED, EACH, EACH)

    @jax.jit
    def step(
        params: Params,
        state: object,
        images: Array,
        labels: Array,
        indices: Array,
        key: Array,
        taken: Array,
    ) -> tuple[Params, Any, Counts]:
        # Drawn for the whole batch, so that they do not depend on the number of devices.
        moves = draw_moves(jax.random.fold_in(key, taken), len(indices), config.shift)
        slope, counts = gradient_of_all(params, images, labels, indices, moves)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(slope, state, params)
        return optax.apply_updates(params, updates), state, counts

    return step


def make_evaluation(config: Config, model: Model) -> Wrapped:
    """Return a jitted evaluation: (params, images, labels, indices) -> counts."""

    def count(params: Params, images: Array, labels: Array, indices: Array) -> Counts:
        batch = take(images, labels, indices)
        counts = loss_and_counts(model, OPS[config.gradients], params, *batch, config.precision)[1]
        return counts if config.devices == 1 else lax.psum(counts, AXIS)

    count_all = on_each(config, count, SHARED, SHARED, SHARED, EACH)

    @jax.jit
    def evaluate(params: Params, images: Array, labels: Array, indices: Array) -> Counts:
        return count_all(params, images, labels, indices)

    return evaluate


def compiled(function: Wrapped, *args: Any) -> Compiled:
    """Compile the function for arguments like these, with the options that make it fastest."""
    options = jaxconv.compiler_options(largest_array=largest_array(function, *args))
    return function.lower(*args).compile(compiler_options=dict(options))


def draw_moves(key: Array, count: int, by: int) -> Array:
    """Draw each image's move along its two axes, from 0 to 2·by, where `by` means no move."""
    return jax.random.randint(key, (count, 2), 0, 2 * by + 1, dtype=jnp.int32)


def moved(images: Array, moves: Array, by: int) -> Array:
    """Return each image moved by its move; zeros fill the space that it leaves."""
    padded = jnp.pad(images, ((0, 0), (by, by), (by, by), (0, 0)))

    def crop(image: Array, corner: Array) -> Array:
        row, column = corner
        return lax.dynamic_slice(image, (row, column, jnp.zeros_like(row)), images.shape[1:])

    return jax.vmap(crop)(padded, moves)
