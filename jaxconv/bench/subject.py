"""What can be timed."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.bench.floors import Work


class Program(NamedTuple):
    """A function and all arrays it works on: none is a constant that the compiler could fold."""

    function: Callable[..., Any]
    args: tuple[Any, ...]


class Subject(Protocol):
    """An op or a network: what it does in each direction ("forward", "both" or "step")."""

    def of_batches(self, count: int) -> "Subject":
        """The same on so many times as many examples."""

    def on_jax(self, ops: Any) -> dict[str, Program]:
        """With `jaxconv` as `ops`, or with its twin."""

    def on_torch(self, device: str) -> dict[str, Callable[[], Any]]:
        """The same in PyTorch, ready to be called; {} if it has no such thing.

        On a GPU a call returns before it is done, as one on JAX does.
        """

    def residual_bytes(self, ops: Any) -> int | None:
        """What is kept for the backward pass, if that is a question."""

    def work(self) -> dict[str, list[Work]]:
        """What has to be done at least, one thing after another."""


def directions(
    call: Callable[..., Any], args: tuple[Any, ...], differentiated: int
) -> dict[str, Program]:
    """Forward alone, and forward + backward to so many first arguments, of a random cotangent."""
    rng = np.random.default_rng(1)

    def cotangent(y: Any) -> Any:
        if not jnp.issubdtype(y.dtype, jnp.floating):
            return np.zeros(y.shape, jax.dtypes.float0)
        return jnp.asarray(rng.standard_normal(y.shape, np.float32), y.dtype)

    def both(dy: Any, *args: Any) -> Any:
        fixed = args[differentiated:]
        y, pull = jax.vjp(lambda *some: call(*some, *fixed), *args[:differentiated])
        return y, pull(dy)

    dy = jax.tree.map(cotangent, jax.eval_shape(call, *args))
    return {"forward": Program(call, args), "both": Program(both, (dy, *args))}
