"""The three contractions of a convolution, and how they run.

A cross-correlation is one trilinear form in input, kernel and cotangent,

    T(x, w, dy) = Σ_{n,i,a,c,k} x[n, s·i + d·a − low, c] · w[a, c, k] · dy[n, i, k],

where i and a run over all spatial dimensions. Leaving out one factor gives a contraction of the
other two:

    correlate(spec, x, w)         T without dy: the forward pass
    input_gradient(spec, w, dy)   T without x:  its gradient for x
    kernel_gradient(spec, x, dy)  T without w:  its gradient for w

So the backward pass of each contraction consists of the other two. A `ConvSpec` (the static
geometry, _core/conv_spec.py) says which sums they are. This package alone decides how they are
computed. We call one way to compute a contraction a form: registry.py lists the forms, one file
each, form.py says what every form must satisfy, and planning.py chooses a form for each call. For
JAX a contraction is one operation (contract.py), and a form is chosen and written out only when the
program is lowered for a platform. Every form returns the sum unrounded (in float32 for 16-bit
factors), so that a rule rounds once, at its end.
"""

from jax import Array
from jax.sharding import NamedSharding

from jaxconv._core.arguments import Layout, Precisions
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.contract import contract
from jaxconv.contraction.kernels import rot180
from jaxconv.contraction.plan import Plan, plan

__all__ = ["ConvSpec", "Plan", "correlate", "input_gradient", "kernel_gradient", "plan", "rot180"]


def correlate(
    spec: ConvSpec,
    x: Array,
    w: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k].

    `precision` is that of the products of x and w. `sharding` says how y is to lie on a mesh with
    Explicit axes, and is None elsewhere.
    """
    return contract("correlate", spec, x, w, layout=layout, precision=precision, sharding=sharding)


def input_gradient(
    spec: ConvSpec,
    w: Array,
    dy: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = p} dy[n, i, k] · w[a, c, k].

    `precision` is that of the products of dy and w. `sharding` says how dx is to lie on a mesh with
    Explicit axes, and is None elsewhere.
    """
    return contract(
        "input_gradient", spec, w, dy, layout=layout, precision=precision, sharding=sharding
    )


def kernel_gradient(
    spec: ConvSpec,
    x: Array,
    dy: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k].

    `precision` is that of the products of x and dy. `sharding` says how dw is to lie on a mesh with
    Explicit axes, and is None elsewhere.
    """
    return contract(
        "kernel_gradient", spec, x, dy, layout=layout, precision=precision, sharding=sharding
    )
