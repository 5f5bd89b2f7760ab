"""Few input channels: y as a sum of outer products. Channels last, no groups.

    y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k]

A matrix product sums over a and c, and with 25 of these there is little to sum. As one multiply-add
of a number of x with a row of w after the other, all in one loop over the output, nothing is
copied and nothing rearranged.
"""

from typing import Any

from jax import Array, lax

from jaxconv._core.arguments import accumulator, of_rank
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.library import SLOW_LIBRARY
from jaxconv.contraction.shifts import covered, shifts

# Multiply-adds below which the plain form is taken, which is compiled in a sixth of the time: 3×3
# 1→32, 4×28×28, takes 0.07 ms so and 0.13 ms in the plain form.
LEAST_WORK = 2**19
# So many input channels at most: 3×3 8→16, 16×28×28, takes 0.61 ms so and 0.45 ms in the plain
# form.
MOST_CHANNELS = 6
# So many products for each position of y at most, elements of the window times channels: 5×5 4→12,
# 16×28×28, takes 0.89 ms so and 0.73 ms in the plain form.
MOST_PRODUCTS = 2**10
# With more than FEW output channels, the sum has at most this many terms: 3×3 4→24, 16×28×28, takes
# 0.36 ms in this form and 0.33 ms in the plain one.
FEW, MOST_TERMS = 16, 27
# In one dimension, a sum of at most this many terms may have any number of output channels: 10
# 1→512, 4×4000, stride 5, takes 0.36 ms in this form and 0.46 ms in the plain one.
MOST_TERMS_OF_LINE = 16
# A slow library is slower still where an odd number of input channels, up to the first of these,
# goes to more than FEW output channels, up to the second. There the sum may have as many terms as
# the third says: 3×3 3→24, 16×28×28, takes 0.20 ms in this form and 2.3 ms in the plain one.
MOST_ODD_CHANNELS, MOST_OF_ODD, MOST_TERMS_OF_ODD = 9, 32, 147


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
    if spec.groups > 1 or spec.multiply_adds(batch) < LEAST_WORK:
        return False
    c_in, c_out = spec.channels_in, spec.channels_out
    terms = spec.taps * c_in
    odd = c_in in range(3, MOST_ODD_CHANNELS + 1, 2) and FEW < c_out <= MOST_OF_ODD
    if SLOW_LIBRARY and odd:
        return terms <= MOST_TERMS_OF_ODD
    few = terms * c_out <= MOST_PRODUCTS and (c_out <= FEW or terms <= MOST_TERMS)
    line = spec.dims == 1 and terms <= MOST_TERMS_OF_LINE
    return c_in <= MOST_CHANNELS and (few or line)


FORMS = (
    Form(
        name="outer products",
        contraction="correlate",
        platforms=("cpu",),
        when=f"at most {MOST_CHANNELS} input channels, {MOST_PRODUCTS} products for a position,"
        f" and {MOST_TERMS} terms or {FEW} output channels; or {MOST_TERMS_OF_LINE} terms in one"
        " dimension",
        applies=_applies,
        run=correlate,
    ),
)
