"""The cases for every op of the catalogue, on the large call of its record.

`cases.py` has the ops that take most of a training step, at typical sizes. The cases here show
whether any op at all is slower than autodiff of its reference implementation.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.types import Function
from jaxconv.bench.call import OfOneCall
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.record import Record, Sample


@dataclass(frozen=True)
class Catalogued(OfOneCall):
    """The large call of an op, in float32.

    Attributes:
        record: the record of the op.
        batches: how many times the examples are repeated.
    """

    record: Record
    batches: int = 1

    def of_batches(self, count: int) -> "Catalogued":
        """Return the case with `count` times as many examples."""
        return replace(self, batches=count * self.batches)

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return {}, since the catalogue has no calls for PyTorch."""
        return {}

    @property
    def _name(self) -> str:
        return self.record.name

    @functools.cached_property
    def _sample(self) -> Sample:
        return self.record.large()

    @property
    def _differentiated(self) -> int:
        return len(self._sample.arrays)

    @functools.cached_property
    def _args(self) -> tuple[Array, ...]:
        """The differentiated arrays, then the fixed ones; all with their examples repeated."""
        arrays, fixed = self._sample.arrays, self._sample.fixed
        repeated = self.record.by_example or tuple(arrays)[:1]
        count = len(arrays[repeated[0]])
        return (
            *(_single(a, self.batches if name in repeated else 1) for name, a in arrays.items()),
            *(_single(a, self.batches if _of_examples(a, count) else 1) for a in fixed.values()),
        )

    def _call(self, ops: ModuleType) -> Function:
        op, sample = getattr(ops, self.record.name), self._sample
        names = (*sample.arrays, *sample.fixed)

        def call(*args: Array) -> object:
            return op(**dict(zip(names, args, strict=True)), **sample.options)

        return call


def _of_examples(array: Array | np.ndarray, count: int) -> bool:
    """Whether the array has a row per example, as labels and indices have but keys have not."""
    is_key = jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)
    return not is_key and array.ndim > 0 and len(array) == count


def _single(array: Array | np.ndarray, repeats: int) -> Array:
    """Repeat the array along its first axis; floats become float32."""
    if repeats > 1:
        array = np.concatenate([np.asarray(array)] * repeats)
    floats = jnp.issubdtype(array.dtype, jnp.floating)
    return jnp.asarray(array, jnp.float32 if floats else None)


OPS = {name: Catalogued(record) for name, record in CATALOGUE.items()}
