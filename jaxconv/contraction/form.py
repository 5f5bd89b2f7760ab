"""What a form is, and what it has to keep to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from jax import Array

from jaxconv._core.conv_spec import ConvSpec

Contraction = Literal["correlate", "input_gradient", "kernel_gradient"]


class Inner(Protocol):
    """The contractions that a form may be made of, each in the form that suits it best.

    They run on the platform on which the form itself runs, and with the precision of its call.

    """

    @property
    def precision(self) -> Any:
        """Of the products, as in `jax.lax`: of x and w, of dy and w, or of x and dy."""

    def correlate(self, spec: ConvSpec, x: Array, w: Array) -> Array:
        """y, of any spec."""

    def kernel_gradient(self, spec: ConvSpec, x: Array, dy: Array) -> Array:
        """dw, of any spec."""

    def with_factors_exchanged(self) -> "Inner":
        """The same, for factors that come in the other order: a pair of precisions is turned."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to compute one of the three contractions of a convolution.

    `run(spec, left, right, inner)` gets the factors of its contraction, in this order:

        correlate(x, w)         y[n, i, k]  = Σ_{a,c} x̂[n, s·i + d·a − low, c] · w[a, c, k]
        input_gradient(w, dy)   dx[n, p, c] = Σ_{i,a,k} dy[n, i, k] · w[a, c, k]
                                              over all s·i + d·a − low = p
        kernel_gradient(x, dy)  dw[a, c, k] = Σ_{n,i} x̂[n, s·i + d·a − low, c] · dy[n, i, k]

    where x̂ is x with e − 1 zeros between its elements. What every form keeps to:

    - **Layout**: images are (N, *spatial, C), kernels are (*window, C_in/groups, C_out).
    - **What it is asked**: the roles of x and y have been exchanged where that is simpler, so that
      e > 1 is left only where s > 1 as well, and an `input_gradient` has s > 1 in some dimension.
      Only forms with `input_dilation` set get a spec with e > 1. The spec has at least one spatial
      dimension, no size of it is 0, and all of them are ints.
    - **Batch**: N may be a symbol (`jax.export`), so that `x.shape[0]` is used and never `len(x)`,
      unless `needs_batch` is set. It is not 0.
    - **Dtypes**: both factors have one dtype, float64, float32, bfloat16 or float16. The result is
      the sum before it is rounded: float32 for the 16-bit dtypes, else the dtype of the factors.
    - **NaN and ∞** are met by the products of the equation and by no other: no element is
      multiplied by a zero that the form made up, because 0 · ∞ is NaN.
    - **Derivatives**: it is made of operations that JAX differentiates in forward and in reverse
      mode, and maps with `vmap`. No `custom_vjp` is among them.
    - **Devices**: under `shard_map` constants are marked as varying like the factors (`aligned`).
      In a sharded `jit`, a batch that is split over devices is not gathered. On a mesh with
      Explicit axes the plain form is taken, and no other is asked.
    - **Whole numbers** give the same bits as the plain form.

    Attributes:
        name: a word or two, for people.
        contraction: which of the three it computes.
        platforms: where it can be taken, as JAX names platforms; () is everywhere.
        when: a sentence that says when it applies, for the printed plan.
        applies: whether it is to be taken, for a spec, the number of examples and the dtype.
            It knows of no other form: of several that apply the first in the registry is taken.
        run: the computation.
        needs_batch: it has to know the number of examples as an int.
        input_dilation: it takes a spec that has one.
        available: this version of JAX has a use for it.
    """

    name: str
    contraction: Contraction
    platforms: tuple[str, ...]
    when: str
    applies: Callable[[ConvSpec, int, Any], bool]
    run: Callable[[ConvSpec, Array, Array, Inner], Array]
    needs_batch: bool = False
    input_dilation: bool = False
    available: bool = True
