"""The three contractions of a convolution, and how they run.

A cross-correlation is one trilinear form in input, kernel and cotangent,

    T(x, w, dy) = Σ_{n,i,a,c,k} x[n, s·i + d·a − low, c] · w[a, c, k] · dy[n, i, k],

with i and a running over all spatial dimensions. Leave out one factor and what is left
is a contraction of the other two:

    correlate(g, x, w)          T without dy: the forward pass
    input_gradient(g, w, dy)    T without x:  its gradient for x
    kernel_gradient(g, x, dy)   T without w:  its gradient for w

So the backward pass of each is made of the other two. What they compute is said here and
in `jaxconv.geometry`; *how* they compute it is the business of this package alone. Each is
built from operations that JAX can differentiate in forward and reverse mode, and returns
the sum unrounded: float32 for 16-bit factors, so that a rule rounds once, at its end. On a
mesh with Explicit axes a last argument says how the result is to lie there.
"""

from jaxconv.contraction.choice import correlate, input_gradient, kernel_gradient
from jaxconv.contraction.plain import rot180

__all__ = ["correlate", "input_gradient", "kernel_gradient", "rot180"]
