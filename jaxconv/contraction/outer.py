"""Few input channels: y as a sum of outer products. Channels last, no groups.

    y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k]

A matrix product sums over a and c, and with 25 of these there is little to sum. As one multiply-add
of a number of x with a row of w after the other, all in one loop over the output, nothing is
copied and nothing rearranged.
"""

from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.contraction.depthwise import covered, shifts
from jaxconv.geometry import ConvGeometry


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, one a and c after the other."""
    total = accumulator(x.dtype)
    image = covered(g, x).astype(total)
    terms = (
        lax.slice(image, (0, *start, c), (len(x), *stop, c + 1), (1, *g.stride, 1))
        * w[(*a, c)].astype(total)
        for a, start, stop in shifts(g, g.output)
        for c in range(x.shape[-1])
    )
    return sum(terms, next(terms))
