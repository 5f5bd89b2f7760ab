"""Few input channels: y as a sum of outer products. Channels last, no groups.

    y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k]

A matrix product sums over a and c, and is slow if there are only, say, 25 terms to sum. Here each
term multiplies a number of x with a row of w, one a and c after the other, all in one loop over the
output. Nothing is copied and nothing is rearranged.
"""

from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator, of_rank
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.library import SLOW_LIBRARY
from jaxconv.contraction.shifts import covered, shifts

# Multiply-adds below which the plain form is taken, which compiles in a sixth of the time: 3×3
# 1→32, 4×28×28, takes 0.07 ms in this form and 0.13 ms in the plain form.
LEAST_WORK = 2**19
# There are at most this many input channels: 3×3 8→16, 16×28×28, takes 0.61 ms in this form and
# 0.45 ms in the plain form.
MOST_CHANNELS = 6
# There are at most this many products for each position of y, which are window elements times input
# and output channels: 5×5 4→12, 16×28×28, takes 0.89 ms in this form and 0.73 ms in the plain form.
MOST_PRODUCTS = 2**10
# With more than FEW output channels, the sum has at most MOST_TERMS terms, which are window
# elements times input channels: 3×3 4→24, 16×28×28, takes 0.36 ms in this form and 0.33 ms in the
# plain form.
FEW, MOST_TERMS = 16, 27
# In one dimension, a sum of at most this many terms may have any number of output channels: a
# window of 10, 1→512, 4×4000, stride 5, takes 0.36 ms in this form and 0.46 ms in the plain form.
MOST_TERMS_OF_LINE = 16
# A slow library is slower still with an odd number of input channels. With 3 to MOST_ODD_CHANNELS
# of these and 17 to MOST_OF_ODD output channels, the sum may have MOST_TERMS_OF_ODD terms: 3×3
# 3→24, 16×28×28, takes 0.20 ms in this form and 2.3 ms in the plain form.
MOST_ODD_CHANNELS, MOST_OF_ODD, MOST_TERMS_OF_ODD = 9, 32, 147


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, adding the products of one a and c after the other."""
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


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
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
