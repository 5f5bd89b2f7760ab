"""`OfOneCall`: the base class of benchmark subjects that are one call of an op."""

from abc import ABC, abstractmethod
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv.reference
from jaxconv._core.types import Function
from jaxconv._core.work import Work, array_bytes, contractions
from jaxconv.bench.subject import Program
from jaxconv.check.costs import residual_bytes


class OfOneCall(ABC):
    """The call `_call(ops)(*_args)`; its first `_differentiated` arguments are differentiated."""

    @property
    @abstractmethod
    def _name(self) -> str:
        """The name of the op."""

    @property
    @abstractmethod
    def _args(self) -> tuple[Array, ...]:
        """The arguments: first the differentiated arrays, then the others."""

    @property
    @abstractmethod
    def _differentiated(self) -> int:
        """The number of differentiated arguments."""

    @abstractmethod
    def _call(self, ops: ModuleType) -> Function:
        """Return the call of the op in `ops`, which is `jaxconv` or `jaxconv.reference`."""

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the programs for forward alone, and for forward + backward of a random dy."""
        call, args, count = self._call(ops), self._args, self._differentiated
        rng = np.random.default_rng(1)

        def cotangent(y: jax.ShapeDtypeStruct) -> Array | np.ndarray:
            if not jnp.issubdtype(y.dtype, jnp.floating):
                return np.zeros(y.shape, jax.dtypes.float0)
            return jnp.asarray(rng.standard_normal(y.shape, np.float32), y.dtype)

        def both(dy: object, *args: Array) -> object:
            y, pull = jax.vjp(lambda *some: call(*some, *args[count:]), *args[:count])
            return y, pull(dy)

        dy = jax.tree.map(cotangent, jax.eval_shape(call, *args))
        return {"forward": Program(call, args), "both": Program(both, (dy, *args))}

    def residual_bytes(self, ops: ModuleType) -> int | None:
        """Return the bytes that `jax.vjp` of the jitted op keeps."""
        call, args, count = self._call(ops), self._args, self._differentiated
        return residual_bytes(lambda *some: call(*some, *args[count:]), args[:count])

    def work(self) -> dict[str, list[Work]]:
        """Return the least work: read each argument and write each result once.

        The backward pass moves as many bytes as the forward pass and has two contractions for
        each contraction there. Only convolutions and dense layers count as contractions.
        """
        call, args = self._call(jaxconv.reference), self._args
        counted = contractions(call, *args) if self._name.startswith(("conv", "dense")) else []
        adds = sum(work.multiply_adds for work in counted)
        moved = array_bytes([args, jax.eval_shape(call, *args)])
        return {"forward": [Work(adds, moved)], "both": [Work(3 * adds, 2 * moved)]}
