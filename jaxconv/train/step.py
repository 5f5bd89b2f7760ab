"""The jit-compiled functions of training."""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.stages import Compiled, Wrapped

import jaxconv
import jaxconv.reference
from jaxconv.compiler import largest_array
from jaxconv.extras import needs
from jaxconv.models import Model, Params
from jaxconv.train.config import Config

with needs("train"):
    import optax

OPS = {"hand": jaxconv, "autodiff": jaxconv.reference}

NO_IMAGE = -1  # in a batch's indices: a place that is left empty


class Counts(NamedTuple):
    """What a batch adds up to: arrays inside a jitted function, numbers outside."""

    images: Any
    loss: Any
    correct: Any


def loss_and_counts(
    model: Model, ops: ModuleType, params: Params, images: Array, labels: Array
) -> tuple[Array, Counts]:
    """The mean cross-entropy of a batch, and its counts; labels of NO_IMAGE do not count."""
    logits = model.apply(params, images, ops=ops)
    loss = ops.softmax_cross_entropy(logits, labels, ignore_index=NO_IMAGE)
    present = labels != NO_IMAGE
    correct = jnp.sum((jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels) & present)
    count = jnp.sum(present)
    return loss, Counts(count, loss * count.astype(loss.dtype), correct)


def take(images: Array, labels: Array, indices: Array) -> tuple[Array, Array]:
    """The batch at these indices."""
    return images[indices], jnp.where(indices == NO_IMAGE, NO_IMAGE, labels[indices])


def make_optimizer(config: Config, steps: int) -> Any:
    """The optax optimiser that the configuration names, for a run of so many steps."""
    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(rate, steps)
    if config.optimizer == "adamw":
        return optax.adamw(rate, weight_decay=config.decay, mask=_kernels)
    rules = {
        "sgd": lambda: optax.sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=0.9),
        "adam": lambda: optax.adam(rate),
    }
    decay = optax.add_decayed_weights(config.decay, mask=_kernels)
    return optax.chain(decay, rules[config.optimizer]())


def _kernels(params: Params) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def make_step(config: Config, model: Model, optimizer: Any) -> Wrapped:
    """(params, state, images, labels, indices, key, taken) -> (params, state, counts).

    `indices` says which images make the batch, `taken` how many steps were taken before.
    """
    ops = OPS[config.gradients]

    @jax.jit
    def step(
        params: Params,
        state: Any,
        images: Array,
        labels: Array,
        indices: Array,
        key: Array,
        taken: Array,
    ) -> tuple[Params, Any, Counts]:
        batch, batch_labels = take(images, labels, indices)
        if config.shift:
            batch = shift_randomly(jax.random.fold_in(key, taken), batch, config.shift)

        def objective(params: Params) -> tuple[Array, Counts]:
            return loss_and_counts(model, ops, params, batch, batch_labels)

        gradient, counts = jax.grad(objective, has_aux=True)(params)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, counts

    return step


def make_evaluation(config: Config, model: Model) -> Wrapped:
    """(params, images, labels, indices) -> counts."""

    @jax.jit
    def evaluate(params: Params, images: Array, labels: Array, indices: Array) -> Counts:
        batch = take(images, labels, indices)
        return loss_and_counts(model, OPS[config.gradients], params, *batch)[1]

    return evaluate


def compiled(function: Wrapped, *args: Any) -> Compiled:
    """The function for arguments like these, by the options that make it fastest."""
    options = jaxconv.compiler_options(largest_array=largest_array(function, *args))
    return function.lower(*args).compile(compiler_options=dict(options))


def shift_randomly(key: Array, images: Array, by: int) -> Array:
    """Each image moved by up to `by` pixels along both axes; zeros move in."""
    n, *shape = images.shape
    padded = jnp.pad(images, ((0, 0), (by, by), (by, by), (0, 0)))
    corners = jax.random.randint(key, (n, 2), 0, 2 * by + 1, dtype=jnp.int32)

    def crop(image: Array, corner: Array) -> Array:
        row, column = corner
        return lax.dynamic_slice(image, (row, column, jnp.zeros_like(row)), shape)

    return jax.vmap(crop)(padded, corners)
