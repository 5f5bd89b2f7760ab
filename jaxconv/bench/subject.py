"""`Subject`: the interface of everything that can be timed."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, Protocol

from jaxconv._core.types import Function
from jaxconv._core.work import Work


class Program(NamedTuple):
    """A function and its arrays, passed as arguments so that the compiler cannot fold them."""

    function: Function
    args: tuple[object, ...]


class Subject(Protocol):
    """An op or a network, with a program for each direction ("forward", "both" or "step")."""

    def of_batches(self, count: int) -> "Subject":
        """Return the subject with `count` times as many examples."""

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the programs with `jaxconv` or `jaxconv.reference` as `ops`, by direction."""

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return the calls in PyTorch, by direction; {} if there are none.

        On a GPU, a call returns before its result is ready, as in JAX.
        """

    def residual_bytes(self, ops: ModuleType) -> int | None:
        """Return the bytes kept for the backward pass; None if they are not measured."""

    def work(self) -> dict[str, list[Work]]:
        """Return the least work of each direction, as a sequence of operations."""
