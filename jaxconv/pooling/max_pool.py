"""Max and min pooling: the extreme value of each window, and which x gets its cotangent."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    Ties,
    accumulator,
    as_array,
    check_number,
    check_option,
)
from jaxconv._core.geometry import Windows, make_windows
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.pooling._extremes import LARGEST, SMALLEST, Extreme
from jaxconv.pooling._selection import best, find, give, stages
from jaxconv.pooling._ties import add_up, how_many, pack_each, share_out, tied, unpack_each


def max_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""The largest value of each window.

        y[n, i, c] = max_a x̃[n, s·i + d·a − low, c],        x̃ = −∞ outside x

    A small change of the largest value changes y by as much, and one of any other value does
    not change y. So

        dx[n, p, c] = Σ_{i,a : s·i + d·a − low = p} share[n, i, a, c] · dy[n, i, c],

    where `share` is 1 at the maximum and 0 elsewhere. If several values tie, y has a kink
    there, and `ties` chooses the gradient:

        ties="first"   share = 1 at the first in row-major order (JAX, PyTorch)
        ties="all"     share = 1 at each of them (as in "Backpropagation in a Convolutional
                       Neural Network", whose mask x == y has a tolerance, however)
        ties="split"   share = 1/count at each of them

    Saved for the backward pass: "first" keeps the offset a of each maximum as the smallest
    unsigned integer that holds it (one byte for windows up to 8 × 8); "all" and "split" keep one
    bit per window element, in words of 8, 16 or 32 bits (two bytes for 3 × 3). Windows of more
    than 64 elements, or of more than 32 along a dimension, are pooled one dimension at a time,
    with an offset or bits for each dimension (except that "first" pools
    windows that lie side by side in one step). Along a dimension of more than 32 elements "all" and
    "split" keep the input of that dimension's step instead of bits.

    A window that holds a NaN gives NaN, and its cotangent goes to the first NaN ("all": to
    every NaN; "split": shared among them). A window that covers only padding gives −∞ and its
    cotangent is dropped. Padding never ties with a −∞ of x.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
        [3.0, 2.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension; None means `window`.
        padding: as in `jaxconv.conv`, but at most half of what the (dilated) window spans.
        dilation: d, the distance between neighbouring window elements.
        ceil_mode: round the output size up: a last window may extend past the end if it starts
            inside x or its low padding.
        ties: which of several equal values get the gradient: "first", "all" or "split".
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x.

    Raises:
        TypeError: x is not an array of numbers.
        ValueError: an option is unknown, the padding exceeds half the window, or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    check_option("max_pool", "ties", ties, Ties)
    x, g = extreme_windows(
        "max_pool", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    return extreme(LARGEST, g, ties, x)


def min_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""The smallest value of each window.

        y[n, i, c] = min_a x̃[n, s·i + d·a − low, c],        x̃ = +∞ outside x

    Because min x = −max(−x), and the two minus signs cancel in the chain rule, the gradient is
    that of `jaxconv.max_pool`:

        dx[n, p, c] = Σ_{i,a : s·i + d·a − low = p} share[n, i, a, c] · dy[n, i, c],

    where `share` is 1 at the minimum and 0 elsewhere. If several values tie, it is 1 at the
    first of them in row-major order ("first"), 1 at each ("all") or 1/count at each ("split").
    NaN and the residuals are treated as in `jaxconv.max_pool`; a window that covers only padding
    gives +∞. Integers are never negated, because the smallest integer has no negative.

    Example:
        >>> import jax.numpy as jnp
        >>> min_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
        [1.0, 0.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension; None means `window`.
        padding: as in `jaxconv.conv`, but at most half of what the (dilated) window spans. It is
            filled with +∞, or for integers with their largest value.
        dilation: d, the distance between neighbouring window elements.
        ceil_mode: round the output size up: a last window may extend past the end if it starts
            inside x or its low padding.
        ties: which of several equal values get the gradient: "first", "all" or "split".
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x.

    Raises:
        TypeError: x is not an array of numbers.
        ValueError: an option is unknown, the padding exceeds half the window, or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    check_option("min_pool", "ties", ties, Ties)
    x, g = extreme_windows(
        "min_pool", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    return extreme(SMALLEST, g, ties, x)


def extreme_windows(
    op: str,
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None,
    padding: Padding,
    dilation: IntOrInts,
    ceil_mode: bool,
    layout: Layout,
) -> tuple[Array, Windows]:
    """Check the arguments of a max or min pooling op; return x as an array, and its windows."""
    x = as_array(op, "x", x)
    check_number(op, x=x)
    g = make_windows(
        op, x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    for d, (pair, span) in enumerate(zip(g.padding, g.extent, strict=True)):
        known = all(isinstance(edge, int) for edge in pair)  # symbols may not be comparable
        if known and max(pair) > span // 2:
            raise ValueError(
                f"{op}: padding may not exceed half the window, which spans {span}"
                f" positions of spatial dimension {d}, but got {pair}"
            )
    return x, g


def extreme(e: Extreme, g: Windows, ties: Ties, x: Array) -> Array:
    """Return the extreme of each window, with the backward pass that `ties` selects."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return _best_compiled(e, g, x)  # integers have no cotangent
    if ties == "first":
        return _first(e, g, x)
    return _tied(e, g, ties, x)


_best_compiled = jax.jit(best, static_argnums=(0, 1), inline=True)


def _first_forward(e: Extreme, g: Windows, x: Array) -> tuple[Array, list[Array]]:
    indices = []
    for stage in stages(g):
        x, index = find(e, stage, x)
        indices.append(index)
    return x, indices


def first_backward(e: Extreme, g: Windows, indices: list[Array], dy: Array) -> tuple[Array]:
    """Return dx: add each window's dy where `find` found its extreme, stage by stage."""
    dx = dy.astype(accumulator(dy.dtype))
    for stage, index in reversed(list(zip(stages(g), indices, strict=True))):
        dx = give(stage, index, dx)
    return (dx.astype(dy.dtype),)


_first = Rule(_first_forward, first_backward, static=2, value=best, name="max_pool or min_pool")


def _tied_forward(e: Extreme, g: Windows, ties: Ties, x: Array) -> tuple[Array, list[list[Array]]]:
    return _tied_best(e, g, ties, x), pack_each(g, tied(e, g, x))


def _tied_backward(
    e: Extreme, g: Windows, ties: Ties, words: list[list[Array]], dy: Array
) -> tuple[Array]:
    share = dy.astype(accumulator(dy.dtype))
    if ties == "split":
        share = share / how_many(e, g, unpack_each(g, words), share.dtype)
    return (share_out(e, g, words, share).astype(dy.dtype),)


_tied = Rule(
    _tied_forward,
    _tied_backward,
    static=3,
    value=lambda e, g, ties, x: best(e, g, x),
    name="max_pool or min_pool",
)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _tied_best(e: Extreme, g: Windows, ties: Ties, x: Array) -> Array:
    """Compute `best`, with a derivative that follows the shares, for second derivatives.

    JAX would differentiate a chain of `maximum`, whose derivative is halved at every tie.
    """
    return best(e, g, x)


@_tied_best.defjvp
def _tied_best_jvp(
    e: Extreme, g: Windows, ties: Ties, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """ẏ[i] = Σ_a share[i, a] · ẋ[s·i + d·a − low], the transpose of the backward pass."""
    (x,), (x_dot,) = primals, tangents
    found = tied(e, g, x)
    y_dot = add_up(e, g, found, x_dot)
    if ties == "split":
        y_dot = y_dot / how_many(e, g, found, y_dot.dtype)
    return _tied_best(e, g, ties, x), y_dot
