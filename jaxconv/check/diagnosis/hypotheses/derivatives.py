"""The derivative of another function: one that looks alike, or the same over another axis."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import axis_words

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "leaky_relu with the slope 0.01": partial(jax.nn.leaky_relu, negative_slope=0.01),
    "leaky_relu with the slope 0.2": partial(jax.nn.leaky_relu, negative_slope=0.2),
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "the tanh approximation of gelu": partial(jax.nn.gelu, approximate=True),
    "the sigmoid approximation of gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "softplus": jax.nn.softplus,
    "squareplus": jax.nn.squareplus,
    "sigmoid": jax.nn.sigmoid,
    "log_sigmoid": jax.nn.log_sigmoid,
    "tanh": jnp.tanh,
    "soft_sign": jax.nn.soft_sign,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "sqrt": jnp.sqrt,
    "1/√x": jax.lax.rsqrt,
    "the square": jnp.square,
    "the cube": lambda x: x**3,
    "1/x": lambda x: 1 / x,
    "|x|": jnp.abs,
    "tan": jnp.tan,
    "arcsin": jnp.arcsin,
    "arctan": jnp.arctan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "arcsinh": jnp.arcsinh,
    "erf": jax.lax.erf,
}


@register("other_derivative", scaled=False)
def other_derivative(evidence: Evidence) -> Iterator[Guess]:
    """The gradient of an elementwise function is that of another function."""
    leaf = evidence.leaf

    def predict(o: Observation, name: str) -> np.ndarray | None:
        x, dy = o.arrays[leaf], o.dy[0]
        if len(o.dy) > 1 or x.shape != dy.shape or not x.size:
            return None
        return dy * np.asarray(_slopes()(x)[name])

    for name in _FUNCTIONS:
        yield Guess(
            f"d({evidence.name}) is the gradient of another function, {name}",
            partial(predict, name=name),
        )


@cache
def _slopes() -> Callable[[np.ndarray], dict[str, Array]]:
    """Return the function from x to the slopes of all functions, which is compiled once."""

    @jax.jit
    def slopes(x: Array) -> dict[str, Array]:
        ones = jnp.ones_like(x)
        return {name: jax.vjp(f, x)[1](ones)[0] for name, f in _FUNCTIONS.items()}

    return slopes


@register("wrong_axis", scaled=False)
def wrong_axis(evidence: Evidence) -> Iterator[Guess]:
    """A normalization or a softmax runs over another axis in the backward pass."""
    leaf, rank = evidence.leaf, evidence.first.dy[0].ndim
    for pair in combinations(range(rank), 2):

        def swapped(a: np.ndarray, pair: tuple[int, int] = pair) -> np.ndarray:
            return np.swapaxes(a, *pair) if a.ndim == rank else a

        def predict(
            o: Observation, swapped: Callable[[np.ndarray], np.ndarray] = swapped
        ) -> np.ndarray | None:
            try:
                found = o.gradient(leaf, arrays=[*map(swapped, o.arrays)], dy=[*map(swapped, o.dy)])
            except Exception:  # the reference does not take these shapes
                return None
            return None if found is None else swapped(found)

        yield Guess(
            f"d({evidence.name}) is that of the same function over another axis: {axis_words(pair)}"
            " of its arguments are exchanged",
            predict,
        )
