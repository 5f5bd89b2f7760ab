"""Where a traced function has convolutions and pools."""

import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.extend import source_info_util
from jax.extend.core import Jaxpr, JaxprEqn

from jaxconv.transform._interpreter import enters, functions_in
from jaxconv.transform._replacing import kind_of
from jaxconv.transform._tracing import Traced

# Frames of installed packages are passed over: the line in a layer of Flax says little.
_INSTALLED = {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}
_OURS = str(Path(__file__).parent.parent)


@dataclass(frozen=True)
class Occurrence:
    """A convolution or a pool in a traced function.

    Attributes:
        eqn: the equation.
        times: how often one call of the function computes it.
        at_least: whether it may be more often, because a loop ends by a condition.
        kept_by: the name of the operation around it that `by_hand` leaves whole, such as
            `custom_vjp_call`; None if there is none.
    """

    eqn: JaxprEqn
    times: int
    at_least: bool = False
    kept_by: str | None = None

    @property
    def path(self) -> str:
        """Its name in profiles, which in most libraries is the path of the layer."""
        return str(self.eqn.source_info.name_stack)

    @property
    def is_derived(self) -> bool:
        """Whether JAX made it when it took a gradient."""
        return "transpose(" in self.path or self.eqn.primitive.name.startswith("select_and_")

    @property
    def where(self) -> str:
        """The file, line and function of the user's program."""
        source = self.eqn.source_info
        frames: Sequence[Any] = source.traceback.frames if source.traceback else ()
        for frame in frames:
            name = str(frame.file_name)
            if not name.startswith((*_INSTALLED, _OURS, "<frozen")):
                return f"{name}:{frame.line_num} ({frame.function_name})"
        return source_info_util.summarize(source)


def occurrences(
    jaxpr: Jaxpr, times: int = 1, at_least: bool = False, kept_by: str | None = None
) -> Iterator[Occurrence]:
    """Iterate over the convolutions and pools of a traced function and of all that it calls."""
    for eqn in jaxpr.eqns:
        if kind_of(eqn) is not None or eqn.primitive.name.startswith("select_and_"):
            yield Occurrence(eqn, times, at_least, kept_by)
            continue
        rounds = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        loop = at_least or eqn.primitive.name == "while"
        keeper = kept_by or (None if enters(eqn) else eqn.primitive.name)
        for inner in functions_in(eqn):
            yield from occurrences(inner, times * rounds, loop, keeper)


def check_arrays(name: str, traced: Traced, found: Sequence[Occurrence]) -> None:
    """Raise if a call has no number, neither among its arguments nor in what it computes."""
    if not (traced.has_numbers or traced.jaxpr.consts or found):
        raise TypeError(f"{name}: there is no array among the arguments of the function")
