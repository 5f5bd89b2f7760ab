"""`Form`: one way to compute a contraction, and the rules that every form keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from jax import Array

from jaxconv._core.arguments import DType, Precisions
from jaxconv._core.conv_spec import ConvSpec

Contraction = Literal["correlate", "input_gradient", "kernel_gradient"]


class Inner(Protocol):
    """The contractions that a form may call, each computed in the form that suits it best.

    They run on the platform of the calling form, and with the precision of its call.
    """

    @property
    def precision(self) -> Precisions:
        """The precision of the products, as in `jax.lax`; a pair is for x, w or dy, w or x, dy."""

    def correlate(self, spec: ConvSpec, x: Array, w: Array) -> Array:
        """Return y, for any spec."""

    def kernel_gradient(self, spec: ConvSpec, x: Array, dy: Array) -> Array:
        """Return dw, for any spec."""

    def with_factors_exchanged(self) -> "Inner":
        """Return an `Inner` for exchanged factors, with a pair of precisions reversed."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to compute one of the three contractions of a convolution.

    `run(spec, left, right, inner)` gets the factors of its contraction, in this order:

        correlate(x, w)         y[n, i, k]  = Σ_{a,c} x̂[n, s·i + d·a − low, c] · w[a, c, k]
        input_gradient(w, dy)   dx[n, p, c] = Σ_{i,a,k} dy[n, i, k] · w[a, c, k]
                                              over all s·i + d·a − low = p
        kernel_gradient(x, dy)  dw[a, c, k] = Σ_{n,i} x̂[n, s·i + d·a − low, c] · dy[n, i, k]

    where x̂ is x with e − 1 zeros between its elements. Every form keeps these rules:

    - **Layout**: images are (N, *spatial, C), kernels are (*window, C_in/groups, C_out).
    - **Specs**: the planner has exchanged the roles of x and y where that is simpler. So e > 1
      remains only together with some s > 1, and an `input_gradient` has s > 1 in some dimension.
      Only forms with `input_dilation` set get a spec with e > 1. The spec has at least one spatial
      dimension, all its sizes are ints, and none of them is 0.
    - **Batch**: N may be a symbol (`jax.export`) unless `needs_batch` is set, so a form uses
      `x.shape[0]` and never `len(x)`. N is not 0.
    - **Dtypes**: both factors have one dtype, float64, float32, bfloat16 or float16. The result is
      the sum before rounding: float32 for the 16-bit dtypes, otherwise the dtype of the factors.
    - **NaN and ∞**: a form multiplies only what the equation multiplies. It never multiplies an
      element by a zero that it has added itself, because 0 · ∞ is NaN.
    - **Derivatives and vmap**: a form needs neither. JAX differentiates and maps the contraction
      as a whole (contract.py), and gets contractions.
    - **Devices**: in a `jit` of sharded arrays it does not gather a batch that is split over
      devices. A `kernel_gradient` is not used there (cut.py). On a mesh with Explicit axes only
      the plain form is used.
    - **Whole numbers** as factors give the same bits as the plain form.

    Attributes:
        name: a word or two, for the printed plan.
        contraction: which of the three contractions it computes.
        platforms: the platforms that can use it, in JAX's names; () means all.
        when: a phrase that says when it applies, for the printed plan.
        applies: whether to use it, given the spec, the number of examples and the dtype. It does
            not consider other forms: the first form in the registry that applies is used.
        run: the computation.
        needs_batch: whether it must know the number of examples as an int.
        input_dilation: whether it takes a spec that has an input dilation.
        available: whether it is of use in the installed version of JAX.
    """

    name: str
    contraction: Contraction
    platforms: tuple[str, ...]
    when: str
    applies: Callable[[ConvSpec, int, DType], bool]
    run: Callable[[ConvSpec, Array, Array, Inner], Array]
    needs_batch: bool = False
    input_dilation: bool = False
    available: bool = True
