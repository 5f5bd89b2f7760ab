"""Find all values that equal the extreme of their window, and give its cotangent to all of them.

For each offset and window, one bit says whether the window finds its extreme at that offset.
Windows of many offsets are processed one dimension at a time: a value ties in its window if it ties
in its row and its row ties among the rows. In a dimension where windows are long, the bits would
take more memory than the values, so the values are kept and compared again (`_long.py`).
"""

import math
import operator
from collections.abc import Iterator, Sequence
from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.geometry import Windows
from jaxconv._core.windows import add_back, landing, offsets, views
from jaxconv.pooling import _long as long
from jaxconv.pooling._extremes import Extreme, outer
from jaxconv.pooling._selection import best_of, is_long, stages


def tied(e: Extreme, g: Windows, x: Array) -> list[list[Array]]:
    """Return, for each stage, arrays that tell where its windows find their extreme.

    These are boolean arrays, one per offset, with an element per window. For a stage of long
    windows it is the input of the stage instead.
    """
    found = []
    for stage in stages(g, reduced=False):
        y = best_of(e, stage, x)
        if is_long(stage):
            found.append([lax.stop_gradient(x)])
        else:
            seen = zip(views(stage, x, e.worst(x.dtype)), _inside(stage), strict=True)
            found.append([((view == y) | jnp.isnan(view)) & inside for view, inside in seen])
        x = y
    return found


def pack_each(g: Windows, found: list[list[Array]]) -> list[list[Array]]:
    """Pack the boolean arrays of `tied` into words; the inputs of long stages stay as they are."""
    each = zip(stages(g, reduced=False), found, strict=True)
    return [arrays if is_long(stage) else pack(arrays) for stage, arrays in each]


def unpack_each(g: Windows, words: list[list[Array]]) -> list[list[Array]]:
    """Undo `pack_each`."""
    each = zip(stages(g, reduced=False), words, strict=True)
    return [
        arrays if is_long(stage) else unpack(arrays, math.prod(stage.window))
        for stage, arrays in each
    ]


def add_up(e: Extreme, g: Windows, found: list[list[Array]], values: Array) -> Array:
    """Sum, for each window, the `values` at the positions that tie."""
    for stage, arrays in zip(stages(g, reduced=False), found, strict=True):
        values = _add_up_one(e, stage, arrays, values)
    return values


def _add_up_one(e: Extreme, g: Windows, arrays: list[Array], values: Array) -> Array:
    if is_long(g):
        return long.add_up(e, g, arrays[0], values)
    seen = zip(arrays, views(g, values, 0), strict=True)
    return reduce(jnp.add, (jnp.where(bit, view, 0) for bit, view in seen))


def share_out(e: Extreme, g: Windows, words: list[list[Array]], dy: Array) -> Array:
    """Give each window's dy to every position that ties: the transpose of `add_up`."""
    for stage, arrays in reversed(list(zip(stages(g, reduced=False), words, strict=True))):
        if is_long(stage):
            dy = long.share_out(e, stage, arrays[0], dy)
        else:
            dy = add_back(stage, _if_tied, dy, *arrays)
    return dy


def _if_tied(a: np.ndarray, dy: Array, *words: Array) -> Array:
    return jnp.where(bit_of(words, a), dy, 0)


def how_many(e: Extreme, g: Windows, found: list[list[Array]], dtype: DType) -> Array:
    """Return how many values tie in each window; 1 for a window that covers only padding."""
    first, *later = stages(g, reduced=False)
    if is_long(first):
        counts = long.add_up(e, first, found[0][0], jnp.ones_like(found[0][0], dtype))
    else:
        counts = reduce(jnp.add, (bit.astype(dtype) for bit in found[0]))
    for stage, arrays in zip(later, found[1:], strict=True):
        counts = _add_up_one(e, stage, arrays, counts)
    return jnp.maximum(counts, 1)


def _inside(g: Windows) -> Iterator[bool | np.ndarray | Array]:
    """Yield for each offset which windows see x there and not padding; True means all of them."""
    tables = landing(g, ((0, 0),) * g.dims)
    for a in offsets(g):
        columns = [table[:, i] for table, i in zip(tables, a, strict=True)]
        everywhere = g.known and all(c.all() for c in columns)
        yield True if everywhere else outer(g, columns, operator.and_)


_WORD = 32


def pack(bits: list[Array]) -> list[Array]:
    """Pack boolean arrays into the bits of unsigned integers, up to 32 in each."""
    words = []
    for start in range(0, len(bits), _WORD):
        chunk = bits[start : start + _WORD]
        dtype = np.min_scalar_type((1 << len(chunk)) - 1)
        shifted = (bit.astype(dtype) << jnp.asarray(i, dtype) for i, bit in enumerate(chunk))
        words.append(reduce(jnp.bitwise_or, shifted))
    return words


def unpack(words: list[Array], count: int) -> list[Array]:
    """Return the `count` boolean arrays that `pack` packed."""
    return [bit_of(words, np.asarray(i)) for i in range(count)]


def bit_of(words: Sequence[Array], places: np.ndarray) -> Array:
    """Return the bits at `places`, which broadcasts against the words; False past the last word."""
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
