"""All the values that equal the extreme of their window, and the way back to all of them.

Which windows find their extreme at an offset is one bit each. Windows of many offsets are gone
through one dimension after the other: a value ties in its window if its row ties among the rows
and it ties in its row.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.geometry import Windows
from jaxconv.pooling.selection import Extreme, best_of, outer, stages
from jaxconv.windows import add_back, landing, offsets, views


def tied(e: Extreme, g: Windows, x: Array) -> list[list[Array]]:
    """For each stage and each offset, which windows find their extreme there."""
    found = []
    for stage in stages(g, reduced=False):
        y = best_of(e, stage, x)
        seen = zip(views(stage, x, e.worst(x.dtype)), _inside(stage), strict=True)
        found.append([((view == y) | jnp.isnan(view)) & inside for view, inside in seen])
        x = y
    return found


def add_up(g: Windows, found: list[list[Array]], values: Array) -> Array:
    """The sum of the values that tie, for each window."""
    for stage, bits in zip(stages(g, reduced=False), found, strict=True):
        seen = zip(bits, views(stage, values, 0), strict=True)
        values = reduce(jnp.add, (jnp.where(bit, view, 0) for bit, view in seen))
    return values


def share_out(g: Windows, words: list[list[Array]], dy: Array) -> Array:
    """Each window's dy at every value that ties, in bits of `words`: the transpose of `add_up`."""
    for stage, packed in reversed(list(zip(stages(g, reduced=False), words, strict=True))):
        dy = add_back(stage, _if_tied, dy, *packed)
    return dy


def _if_tied(a: np.ndarray, dy: Array, *words: Array) -> Array:
    return jnp.where(bit_of(words, a), dy, 0)


def how_many(g: Windows, found: list[list[Array]], dtype: Any) -> Array:
    """How many values tie in each window; 1 in a window of padding alone."""
    first, *later = found
    counts = reduce(jnp.add, (bit.astype(dtype) for bit in first))
    for stage, bits in zip(stages(g, reduced=False)[1:], later, strict=True):
        seen = zip(bits, views(stage, counts, 0), strict=True)
        counts = reduce(jnp.add, (jnp.where(bit, view, 0) for bit, view in seen))
    return jnp.maximum(counts, 1)


def _inside(g: Windows) -> Iterator[Any]:
    """For each offset, which windows see x there and not padding (True: all of them)."""
    tables = landing(g, ((0, 0),) * g.dims)
    for a in offsets(g):
        columns = [table[:, i] for table, i in zip(tables, a, strict=True)]
        yield True if all(c.all() for c in columns) else outer(g, columns, np.logical_and)


_WORD = 32


def pack(bits: list[Array]) -> list[Array]:
    """Boolean arrays as the bits of unsigned integers, up to 32 in each."""
    words = []
    for start in range(0, len(bits), _WORD):
        chunk = bits[start : start + _WORD]
        dtype = np.min_scalar_type((1 << len(chunk)) - 1)
        shifted = (bit.astype(dtype) << jnp.asarray(i, dtype) for i, bit in enumerate(chunk))
        words.append(reduce(jnp.bitwise_or, shifted))
    return words


def unpack(words: list[Array], count: int) -> list[Array]:
    """The boolean arrays that `pack` packed."""
    return [bit_of(words, np.asarray(i)) for i in range(count)]


def bit_of(words: Sequence[Array], places: np.ndarray) -> Array:
    """The bits in these places, which broadcast against the words; False beyond the last."""
    found = []
    for number, word in enumerate(words):
        place = places - _WORD * number
        width = min(_WORD, 8 * word.dtype.itemsize)
        here = (place >= 0) & (place < width)
        if here.any():
            shift = np.where(here, place, 0).astype(word.dtype)
            bit = (word >> shift) & jnp.asarray(1, word.dtype) == 1
            found.append(bit if here.all() else bit & here)
    return reduce(jnp.logical_or, found)
