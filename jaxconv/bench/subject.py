"""What can be timed."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

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
        """With `jaxconv` as `ops`, or with `jaxconv.reference`."""

    def on_torch(self, device: str) -> dict[str, Callable[[], Any]]:
        """The same in PyTorch, ready to be called; {} if it has no such thing.

        On a GPU a call returns before it is done, as one on JAX does.
        """

    def residual_bytes(self, ops: Any) -> int | None:
        """What is kept for the backward pass, if that is a question."""

    def work(self) -> dict[str, list[Work]]:
        """What has to be done at least, one thing after another."""
