"""The jit-compiled functions of training, each written for a whole batch on all devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.stages import Compiled, Wrapped

import jaxconv
from jaxconv._core.extras import needs
from jaxconv.compiler import largest_array
from jaxconv.models import Model, Params, State, Variables
from jaxconv.train import devices
from jaxconv.train.augment import augmented
from jaxconv.train.average import moved_on
from jaxconv.train.batch import OPS, Batch, take
from jaxconv.train.config import Config
from jaxconv.train.loss import Answers, Counts, counted, weight_of
from jaxconv.train.normalize import Scale, normalized

with needs("train"):
    import optax


SMALL = 2**16
"""Parts of a batch with fewer numbers are written out one after the other instead of as a loop:
XLA's CPU code for small operations is slow inside loops, and small parts need little memory. With
four parts of 8 digits, a step of `convnet` takes 3.3 ms instead of 37 ms."""

OF_NETWORK = 2**30
"""The key of a step is folded with this for the network; changes of images take small numbers."""


class After(NamedTuple):
    """The state of training after a step: all that the next one depends on.

    Attributes:
        variables: the parameters and the state of the network.
        optimizer: the state of the optimiser.
        mean: the moving average of the variables; None without --ema.
    """

    variables: Variables
    optimizer: object
    mean: Variables | None = None

    @property
    def shown(self) -> Variables:
        """What is evaluated and saved."""
        return self.variables if self.mean is None else self.mean


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

    def slope_of(
        variables: Variables, images: Array, answers: Answers, key: Array, weight: Array
    ) -> tuple[Params, tuple[Counts, State]]:
        """Return the gradient of the loss of a part of the batch, over the weight of the whole."""

        def objective(params: Params) -> tuple[Array, tuple[Counts, State]]:
            counts, state = counted(
                model,
                OPS[config.gradients],
                variables._replace(params=params),
                images,
                answers,
                config.precision,
                config.label_smoothing,
                weights,
                train=True,
                key=key,
            )
            return counts.loss / weight.astype(counts.loss.dtype), (counts, state)

        return jax.grad(objective, has_aux=True)(variables.params)

    @jax.jit
    def step(after: After, batch: Batch, key: Array, taken: Array) -> tuple[After, Counts]:
        images, labels = devices.shared_out(config, take(batch))
        own = jax.random.fold_in(key, taken)
        images, answers = augmented(config, seen.scale, own, images, labels)
        images = devices.shared_out(config, images)
        weight = weight_of(answers, images.dtype, weights)
        of_network = jax.random.fold_in(own, OF_NETWORK)
        slope, (counts, state) = _in_parts(
            config.accumulate, slope_of, after.variables, images, answers, of_network, weight
        )
        params = after.variables.params
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, optimizer_state = optimizer.update(slope, after.optimizer, params)
        variables = Variables(optax.apply_updates(params, updates), state)
        mean = moved_on(after.mean, variables, config.ema, taken)
        return devices.the_same(config, (After(variables, optimizer_state, mean), counts))

    return step


def _in_parts(
    parts: int,
    slope_of: Callable[..., tuple[Params, tuple[Counts, State]]],
    variables: Variables,
    images: Array,
    answers: Answers,
    key: Array,
    weight: Array,
) -> tuple[Params, tuple[Counts, State]]:
    """Return gradient, counts and state of a batch, computed in this many parts in turn.

    The gradients of the parts add up to that of the batch. Each part has statistics of its own for
    batch norm, and passes the state on.
    """
    if parts == 1:
        return slope_of(variables, images, answers, key, weight)

    def cut(array: Array) -> Array:
        # Every device keeps its images: a part has some from each of them.
        return jnp.moveaxis(array.reshape(-1, parts, *array.shape[1:]), 1, 0)

    def add(
        so_far: tuple[Params, State], part: tuple[Array, Array, Array | None, Array]
    ) -> tuple[tuple[Params, State], Counts]:
        total, state = so_far
        images, labels, others, number = part
        slope, (counts, state) = slope_of(
            variables._replace(state=state),
            images,
            Answers(labels, others, answers.share),
            jax.random.fold_in(key, number),
            weight,
        )
        return (jax.tree.map(jnp.add, total, slope), state), counts

    cuts = jax.tree.map(cut, (images, answers.labels, answers.others))
    none = jax.tree.map(jnp.zeros_like, variables.params)
    unroll = parts if images.size // parts < SMALL else 1
    (slope, state), counts = lax.scan(
        add, (none, variables.state), (*cuts, jnp.arange(parts)), unroll=unroll
    )
    return slope, (
        jax.tree.map(lambda each: jnp.sum(each, axis=0, dtype=each.dtype), counts),
        state,
    )


def make_evaluation(config: Config, model: Model, seen: Seen | None = None) -> Wrapped:
    """Return a jitted evaluation: (variables, batch) -> counts; every class has the weight 1."""
    scale = None if seen is None else seen.scale

    @jax.jit
    def evaluate(variables: Variables, batch: Batch) -> Counts:
        images, labels = devices.shared_out(config, take(batch))
        counts, _ = counted(
            model,
            OPS[config.gradients],
            variables,
            normalized(images, scale),
            Answers(labels),
            config.precision,
        )
        return devices.the_same(config, counts)

    return evaluate


def compiled(function: Wrapped, *args: object) -> Compiled:
    """Compile the function for arguments like these, with the options that make it fastest."""
    options = jaxconv.compiler_options(largest_array=largest_array(function, *args))
    return function.lower(*args).compile(compiler_options=dict(options))
