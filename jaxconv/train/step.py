"""The jit-compiled functions of training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.stages import Compiled, Wrapped

import jaxconv
from jaxconv._core.extras import needs
from jaxconv.compiler import largest_array
from jaxconv.models import Model, Params
from jaxconv.train.augment import augmented
from jaxconv.train.average import moved_on
from jaxconv.train.batch import OPS, Batch, take
from jaxconv.train.config import Config
from jaxconv.train.devices import AXIS, EACH, SHARED, on_each
from jaxconv.train.loss import Answers, Counts, counted, weight_of
from jaxconv.train.normalize import Scale, normalized

with needs("train"):
    import optax


SMALL = 2**16
"""Parts of a batch with fewer numbers are written out one after the other instead of as a loop:
XLA's CPU code for small operations is slow inside loops, and small parts need little memory. With
four parts of 8 digits, a step of `convnet` takes 3.3 ms instead of 37 ms."""


class After(NamedTuple):
    """The state of training after a step: all that the next one depends on.

    Attributes:
        params: the parameters.
        state: the state of the optimiser.
        mean: the moving average of the parameters; None without --ema.
    """

    params: Params
    state: Any
    mean: Params | None = None

    @property
    def shown(self) -> Params:
        """The parameters that are evaluated and saved."""
        return self.params if self.mean is None else self.mean


class Seen(NamedTuple):
    """What a step knows of the training images as a whole.

    Attributes:
        scale: the mean and deviation that images are normalised with, or None.
        weights: how much an image of each class counts, or None.
    """

    scale: Scale | None = None
    weights: tuple[float, ...] | None = None


def make_step(config: Config, model: Model, optimizer: Any, seen: Seen | None = None) -> Wrapped:
    """Return a jitted training step: (after, batch, key, taken) -> (after, counts).

    `key` is that of the run, and `taken` says how many steps were taken before.
    """
    seen = seen or Seen()
    weights = None if seen.weights is None else jnp.array(seen.weights)

    def gradient(params: Params, images: Array, answers: Answers) -> tuple[Params, Counts]:
        """Return the gradient of the whole batch's mean; each device has a share of the batch."""
        # The loss of a part is its sum over the weight of the whole batch. So the gradients of the
        # parts add up to that of the batch. Parameters are on all devices, and so JAX adds up
        # their gradients itself.
        weight = weight_of(answers, images.dtype, weights)
        if config.devices > 1:
            weight = lax.psum(weight, AXIS)

        def objective(params: Params, images: Array, answers: Answers) -> tuple[Array, Counts]:
            counts = counted(
                model,
                OPS[config.gradients],
                params,
                images,
                answers,
                config.precision,
                config.label_smoothing,
                weights,
            )
            return counts.loss / weight.astype(counts.loss.dtype), counts

        slope_of = jax.grad(objective, has_aux=True)
        slope, counts = _in_parts(config.accumulate, slope_of, params, images, answers)
        return slope, counts if config.devices == 1 else lax.psum(counts, AXIS)

    mixing = Answers(EACH, EACH, SHARED) if config.mixup else Answers(EACH)
    gradient_of_all = on_each(config, gradient, SHARED, EACH, mixing)

    @jax.jit
    def step(after: After, batch: Batch, key: Array, taken: Array) -> tuple[After, Counts]:
        images, labels = take(batch)
        # Drawn for the whole batch, so that nothing depends on the number of devices.
        own = jax.random.fold_in(key, taken)
        images, answers = augmented(config, seen.scale, own, images, labels)
        slope, counts = gradient_of_all(after.params, images, answers)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(slope, after.state, after.params)
        params = optax.apply_updates(after.params, updates)
        return After(params, state, moved_on(after.mean, params, config.ema, taken)), counts

    return step


def _in_parts(
    parts: int, slope_of: Any, params: Params, images: Array, answers: Answers
) -> tuple[Params, Counts]:
    """Return gradient and counts of a batch, computed in this many parts one after the other."""
    if parts == 1:
        return slope_of(params, images, answers)

    def cut(array: Array) -> Array:
        return array.reshape(parts, -1, *array.shape[1:])

    def add(total: Params, part: tuple[Array, Array, Array | None]) -> tuple[Params, Counts]:
        images, labels, others = part
        slope, counts = slope_of(params, images, Answers(labels, others, answers.share))
        return jax.tree.map(jnp.add, total, slope), counts

    whole = (images, answers.labels, answers.others)
    none = jax.tree.map(jnp.zeros_like, params)
    unroll = parts if images.size // parts < SMALL else 1
    slope, counts = lax.scan(add, none, jax.tree.map(cut, whole), unroll=unroll)
    return slope, jax.tree.map(lambda each: jnp.sum(each, axis=0, dtype=each.dtype), counts)


def make_evaluation(config: Config, model: Model, seen: Seen | None = None) -> Wrapped:
    """Return a jitted evaluation: (params, batch) -> counts; every class has the weight 1."""
    scale = None if seen is None else seen.scale

    def count(params: Params, images: Array, labels: Array) -> Counts:
        counts = counted(
            model, OPS[config.gradients], params, images, Answers(labels), config.precision
        )
        return counts if config.devices == 1 else lax.psum(counts, AXIS)

    count_all = on_each(config, count, SHARED, EACH, EACH)

    @jax.jit
    def evaluate(params: Params, batch: Batch) -> Counts:
        images, labels = take(batch)
        return count_all(params, normalized(images, scale), labels)

    return evaluate


def compiled(function: Wrapped, *args: Any) -> Compiled:
    """Compile the function for arguments like these, with the options that make it fastest."""
    options = jaxconv.compiler_options(largest_array=largest_array(function, *args))
    return function.lower(*args).compile(compiler_options=dict(options))
