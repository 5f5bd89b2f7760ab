"""Few input channels: y as a sum of outer products. Channels last, no groups.

    y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k]

A matrix product sums over a and c, and with 25 of these there is little to sum. As one multiply-add
of a number of x with a row of w after the other, all in one loop over the output, nothing is
copied and nothing rearranged.
"""

from typing import Any

from jax import Array, lax

from jaxconv._core.conv_spec import ConvSpec
from jaxconv.arguments import accumulator, of_rank
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.shifts import covered, shifts

# Multiply-adds below which the plain form is taken.
LEAST_WORK = 2**21
# So many input channels at most: 3×3, 4→16, takes 1.2 ms and in the plain form 2.2 ms.
MOST_CHANNELS = 4
# So many terms at most, elements of the window times input channels.
MOST_TERMS = 49


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """y, one a and c after the other."""
    total = accumulator(x.dtype)
    image = covered(spec, x).astype(total)
    strides = (1, *spec.stride, 1)
    terms = (
        lax.slice(image, (0, *start, c), (x.shape[0], *stop, c + 1), strides)
        * of_rank(w[(*a, c)].astype(total), x.ndim)
        for a, start, stop in shifts(spec)
        for c in range(x.shape[-1])
    )
    return sum(terms, next(terms))


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    few = spec.channels_in <= MOST_CHANNELS and spec.taps * spec.channels_in <= MOST_TERMS
    return spec.groups == 1 and few and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="outer products",
        contraction="correlate",
        platforms=("cpu",),
        when=f"at most {MOST_CHANNELS} input channels and {MOST_TERMS} terms",
        applies=_applies,
        run=correlate,
    ),
)
