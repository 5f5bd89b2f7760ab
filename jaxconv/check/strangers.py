"""Functions of other libraries with right gradients, which the checker must not report as wrong.

They are functions of JAX and, if installed, losses of optax and layers of Flax. Each is compared
with the op of the same name in `jaxconv.reference`, or with itself if there is none.
"""

import importlib.util
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv.reference as reference
from jaxconv.check.case import Case

Draw = Callable[[np.random.Generator], Case]

ELEMENTWISE = (
    "relu6", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "squareplus", "sigmoid",
    "log_sigmoid", "soft_sign", "hard_tanh", "leaky_relu",
)  # fmt: skip
SCORES = ("softmax", "log_softmax")
LOSSES = ("huber_loss", "log_cosh", "l2_loss", "cosine_distance", "sigmoid_binary_cross_entropy")


def strangers() -> dict[str, Draw]:
    """Return, for each function by its name, what draws a call of it."""
    return dict((*_of_jax(), *_of_optax(), *_of_flax()))


def _shape(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))


def _numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.choice([0.3, 1.0, 3.0]) * rng.standard_normal(shape)


def _of_jax() -> Iterator[tuple[str, Draw]]:
    def elementwise(name: str) -> Draw:
        def draw(rng: np.random.Generator) -> Case:
            args = (_numbers(rng, *_shape(rng)),)
            return Case(name, getattr(jax.nn, name), args, getattr(reference, name))

        return draw

    for name in (*ELEMENTWISE, *SCORES):
        yield f"jax.nn.{name}", elementwise(name)

    def logsumexp(rng: np.random.Generator) -> Case:
        return Case("logsumexp", jax.nn.logsumexp, (_numbers(rng, *_shape(rng)),), jax.nn.logsumexp)

    yield "jax.nn.logsumexp", logsumexp

    def sort(rng: np.random.Generator) -> Case:
        return Case("sort", jnp.sort, (_numbers(rng, *_shape(rng)),), jnp.sort)

    yield "jax.numpy.sort", sort

    def maximum(rng: np.random.Generator) -> Case:
        whole = rng.integers(-1, 2, (3, 5)).astype(float)  # three values only, hence many ties
        return Case("max", lambda x: jnp.max(x, axis=-1), (whole,), lambda x: jnp.max(x, axis=-1))

    yield "jax.numpy.max", maximum

    def quadratic(rng: np.random.Generator) -> Case:
        n = int(rng.integers(2, 6))
        return Case("quadratic", _quadratic, (_numbers(rng, n, n), _numbers(rng, n)), _quadratic)

    yield "tanh(a @ b) @ b", quadratic


def _quadratic(a: Array, b: Array) -> Array:
    return jnp.tanh(a @ b) @ b


def _of_optax() -> Iterator[tuple[str, Draw]]:
    if importlib.util.find_spec("optax") is None:
        return
    import optax

    def loss(name: str) -> Draw:
        def draw(rng: np.random.Generator) -> Case:
            shape = _shape(rng)
            rule = getattr(optax, name)
            return Case(name, rule, (_numbers(rng, *shape), _numbers(rng, *shape)), rule)

        return draw

    for name in LOSSES:
        yield f"optax.{name}", loss(name)

    def cross_entropy(rng: np.random.Generator) -> Case:
        n, classes = (int(k) for k in rng.integers(2, 7, 2))
        return Case(
            "cross entropy",
            optax.softmax_cross_entropy_with_integer_labels,
            (_numbers(rng, n, classes), rng.integers(0, classes, n)),
            lambda x, t: reference.softmax_cross_entropy(x, t, reduction="none"),
        )

    yield "optax.softmax_cross_entropy_with_integer_labels", cross_entropy


def _of_flax() -> Iterator[tuple[str, Draw]]:
    if importlib.util.find_spec("flax") is None:
        return
    from flax import linen

    def layer(make: Callable[[np.random.Generator], linen.Module]) -> Draw:
        def draw(rng: np.random.Generator) -> Case:
            module = make(rng)
            x = _numbers(rng, 2, int(rng.integers(3, 7)), int(rng.integers(3, 7)), 4)
            params = module.init(jax.random.key(int(rng.integers(1 << 30))), x)
            return Case(type(module).__name__, module.apply, (params, x), module.apply)

        return draw

    yield "flax.linen.Dense", layer(lambda rng: linen.Dense(int(rng.integers(1, 6))))
    yield "flax.linen.Conv", layer(lambda rng: linen.Conv(int(rng.integers(1, 6)), (3, 3)))
    yield "flax.linen.LayerNorm", layer(lambda rng: linen.LayerNorm())
    yield "flax.linen.GroupNorm", layer(lambda rng: linen.GroupNorm(int(rng.choice([1, 2, 4]))))
