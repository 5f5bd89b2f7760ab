"""Many groups of few channels: a vector is filled by the groups. Channels last.

Channel c of group γ lies at γ·C + c. With the channels of a group on an axis before that of the
groups, x'[n, p, c, γ], and y' and w' likewise,

    y'[n, i, k, γ] = Σ_{a,c} x'[n, s·i + d·a − low, c, γ] · w'[a, c, k, γ]

is the depthwise sum with γ for the channel, over c, too: shifted multiply-adds, in one loop over
the output. A group by itself would be a matrix product of a few columns, which fills no vector.
"""

from functools import partial, reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.contraction.depthwise import shifts
from jaxconv.geometry import ConvGeometry, Ints
from jaxconv.memory import padded_by_rows, unfused


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, of copies of x and w that have their groups last."""
    total = accumulator(x.dtype)
    channels = w.shape[-1]

    def covered(x: Array) -> Array:
        last = groups_last(x.astype(total), g.groups).reshape(x.shape)
        return padded_by_rows(last, ((0, 0), *g.covering, (0, 0)))

    # In calls: fused into the sum, each number would be looked up where it is used.
    image = unfused(covered, x)
    taps = unfused(partial(groups_last, groups=g.groups), w.astype(total))
    y = unfused(partial(_sum, g), image, taps)
    return y.swapaxes(-1, -2).reshape(len(x), *g.output, channels)


def _sum(g: ConvGeometry, image: Array, taps: Array) -> Array:
    """y' of an x' that has its zeros, with c and γ as one axis, and w'."""
    *_, c_in, c_out, count = taps.shape
    shape = (len(image), *g.output, c_out, count)

    def seen(c: int, start: Ints, stop: Ints) -> Array:
        begin, end = (0, *start, c * count), (len(image), *stop, (c + 1) * count)
        part = lax.slice(image, begin, end, (1, *g.stride, 1))
        return jnp.broadcast_to(jnp.expand_dims(part, -2), shape)

    # A sum for each tap, then their sum: a third less rounding error than in one chain.
    of_taps = (
        reduce(
            lax.add,
            (
                lax.mul(seen(c, start, stop), jnp.broadcast_to(taps[(*a, c)], shape))
                for c in range(c_in)
            ),
        )
        for a, start, stop in shifts(g, g.output)
    )
    return reduce(lax.add, of_taps)


def groups_last(array: Array, groups: int) -> Array:
    """(…, groups · c) as (…, c, groups)."""
    *others, channels = array.shape
    return array.reshape(*others, groups, channels // groups).swapaxes(-1, -2)
