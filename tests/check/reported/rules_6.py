"""Products of matrices, complex numbers, signs, factors and unused arguments and outputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward
from jax import lax
from jax.custom_derivatives import SymbolicZero


def matmul(a, b):
    return a @ b


# Both factors of a product are used without being transposed.
def untransposed_backward(args, dy):
    a, b = args
    return dy @ b, a @ dy


# The output stands for its own cotangent.
def output_backward(args, dy):
    a, b = args
    y = a @ b
    return y @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ y


# A product of stacks of matrices, of which the backward pass handles one.
def first_of_stack_backward(args, dy):
    a, b = args
    da = jnp.zeros_like(a).at[0].set(dy[0] @ b[0].T)
    return da, jnp.zeros_like(b).at[0].set(a[0].T @ dy[0])


# A matrix times its own transpose.
def gram(x):
    return x @ x.T


def gram_backward(args, dy):
    (x,) = args
    return (dy @ x,)


# A bilinear form.
def bilinear(x, w, z):
    return jnp.einsum("ni,oij,nj->no", x, w, z)


def bilinear_backward(args, dy):
    x, w, z = args
    _, dw, _ = jax.vjp(bilinear, *args)[1](dy)
    return jnp.einsum("oij,nj->ni", w, z), dw, jnp.einsum("oij,ni->nj", w, x)


# A row is added to every row.
def add_row(x, row):
    return x + row


def add_row_backward(args, dy):
    _x, _row = args
    return dy, dy[:1]


def add_bias(x, bias):
    return jnp.tanh(x + bias)


def add_bias_backward(args, dy):
    x, bias = args
    g = dy * (1 - jnp.tanh(x + bias) ** 2)
    return g, g[-1]


# A convolution whose weight's gradient is divided by the number of places.
def conv(x, w):
    return lax.conv_general_dilated(
        x, w, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


def conv_backward(args, dy):
    x, w = args
    dx, dw = jax.vjp(conv, x, w)[1](dy)
    return dx, dw / (dy.shape[0] * dy.shape[2] * dy.shape[3])


# Signs.
def subtract(a, b):
    return a - b


def sine_times(x, y):
    return jnp.sin(x) * y


def sine_times_backward(args, dy):
    x, y = args
    return jnp.cos(x) * y * dy, -jnp.sin(x) * dy


# Gradients in the wrong order.
def three(a, b, c):
    return jnp.tanh(a) + 2 * b * b + jnp.sin(3 * c)


def three_backward(args, dy):
    da, db, dc = jax.vjp(three, *args)[1](dy)
    return db, dc, da


def three_of(x, y, z):
    return (x * y * jnp.sin(z) + jnp.exp(x * y)) / (z * z + 1)


def three_of_backward(args, dy):
    dx, dy_, dz = jax.vjp(three_of, *args)[1](dy)
    return dy_, dx, dz


# Half of a sum of squares, scaled.
def scaled_loss(x, y):
    return 5.0 * 0.5 * ((x - y) ** 2).sum(-1)


def scaled_loss_backward(args, dy):
    x, y = args
    dx = dy[:, None] * (x - y)
    return dx, -dx


# The height of a bell curve over two axes.
def bell(d, a, b, c):
    return jnp.exp(-0.5 * (a * d[:, 0] ** 2 + c * d[:, 1] ** 2) - b * d[:, 0] * d[:, 1])


def bell_backward(args, dy):
    _d, _a, _b, _c = args
    dd, da, db, dc = jax.vjp(bell, *args)[1](dy)
    return dd, da, 0.5 * db, dc


# Root mean squares.
def rms(x, w):
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5) * (1 + w)


def rms_constant_backward(args, dy):
    x, w = args
    scale = lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return dy * (1 + w) * scale, (dy * x * scale).sum(0)


def rms_offset_backward(args, dy):
    x, w = args
    scale = lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    unit, g = x * scale, dy * w
    return scale * (g - unit * (g * unit).mean(-1, keepdims=True)), (dy * unit).sum(0)


def rms_no_weight_backward(args, dy):
    x, _w = args
    scale = lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    unit = x * scale
    return scale * (dy - unit * (dy * unit).mean(-1, keepdims=True)), (dy * unit).sum(0)


# Batch normalisation whose backward pass adds a sum where it needs a mean.
def batch_norm(x, w):
    return (x - x.mean(0)) * lax.rsqrt(x.var(0) + 1e-5) * w


def batch_norm_backward(args, dy):
    x, w = args
    scale = lax.rsqrt(x.var(0) + 1e-5)
    unit, g = (x - x.mean(0)) * scale, dy * w
    return scale * (g - g.sum(0) - unit * (g * unit).mean(0)), (dy * unit).sum(0)


# A loss on hidden states, whose flattened copy has lost its need of a gradient.
CHOICE = np.array([[1, 0, 4], [2, 3, 0]])


def head_loss(hidden, w):
    logp = jax.nn.log_softmax(hidden @ w)
    return -jnp.take_along_axis(logp, CHOICE[..., None], -1)[..., 0]


def head_loss_backward(args, dy):
    hidden, w = args
    _, dw = jax.vjp(head_loss, hidden, w)[1](dy)
    return jnp.zeros_like(hidden), dw


# Complex numbers.
def exponential(z):
    return jnp.exp(z)


def exponential_backward(args, dy):
    (z,) = args
    return (dy * jnp.conj(jnp.exp(z)),)


def compose(re, im):
    return lax.complex(re, im)


def compose_backward(args, dy):
    return jnp.real(dy), jnp.imag(dy)


def fourier(z):
    return jnp.fft.fft(z)


def fourier_backward(args, dy):
    return (jnp.fft.ifft(dy) * dy.shape[-1],)


# Statistics of rows; a cotangent that is not there is taken for ones.
def mean_and_top(x):
    return x.mean(-1), jax.nn.logsumexp(x, -1)


def filled_forward(x):
    return mean_and_top(x.value), x.value


def filled_backward(x, dy):
    dmean, dtop = (jnp.ones(x.shape[0], x.dtype) if isinstance(d, SymbolicZero) else d for d in dy)
    return (dmean[:, None] / x.shape[1] + dtop[:, None] * jax.nn.softmax(x),)


FILLED = jax.custom_vjp(mean_and_top)
FILLED.defvjp(filled_forward, filled_backward, symbolic_zeros=True)


# The buffer for the offset is sized by the gradient of the weight.
def scale_offset(x, w, b):
    return jnp.tanh(x) * w + b


def sized_forward(x, w, b):
    wanted = () if w.perturbed else None
    return scale_offset(x.value, w.value, b.value), (x.value, w.value, wanted)


def sized_backward(residuals, dy):
    x, w, wanted = residuals
    y = jnp.tanh(x)
    db = dy.sum(0) if wanted is not None else jnp.zeros_like(w)
    return dy * w * (1 - y**2), (dy * y).sum(0), db


SIZED = jax.custom_vjp(scale_offset)
SIZED.defvjp(sized_forward, sized_backward, symbolic_zeros=True)

COMPLEX = normal(120, 3, 5) + 1j * normal(121, 3, 5)

RULES = [
    Wrong(
        "matmul_untransposed",
        "tile-ai/TileOPs#54: both matmuls of the backward pass lack their transposes",
        with_backward(matmul, untransposed_backward),
        normals(122, (5, 5), (5, 5)),
        matmul,
        "The other factor is not transposed in the gradients.",
        ("axes_swapped",),
    ),
    Wrong(
        "matmul_output",
        "Shubham-cyber-prog/100-Days-Of-Web-Development-ECWoC26#1576: matmul's backward uses the"
        " forward output instead of the upstream gradient",
        with_backward(matmul, output_backward),
        normals(123, (4, 3), (3, 6)),
        matmul,
        "The output of the product stands where the cotangent should be.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "matmul_first",
        "NVIDIA/warp#147: batched_matmul's backward uses adj_matmul, not adj_batched_matmul",
        with_backward(matmul, first_of_stack_backward),
        normals(124, (3, 4, 5), (3, 5, 6)),
        matmul,
        "Only the first product of the stack gets a gradient.",
        ("one_sample_only",),
    ),
    Wrong(
        "gram_once",
        "NervanaSystems/neon#169: incorrect autodiff of dot(x, x.T)",
        with_backward(gram, gram_backward),
        (normal(125, 4, 6),),
        gram,
        "The gradient through the transposed factor is left out.",
        (),
    ),
    Wrong(
        "bilinear_cotangent",
        "torch/nn#657: nn.Bilinear's gradients of the inputs were not weighted by gradOutput",
        with_backward(bilinear, bilinear_backward),
        normals(126, (4, 3), (5, 3, 6), (4, 6)),
        bilinear,
        "The gradients of both inputs are not multiplied by the cotangent.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "add_row_unsummed",
        "aesara-devs/aesara#1089: wrong gradients when inputs are dynamically broadcasted",
        with_backward(add_row, add_row_backward),
        normals(127, (5, 4), (1, 4)),
        None,
        "The gradient of the row that was spread over all rows is not summed over them.",
        ("reduction_missing", "cotangent_in_part"),
    ),
    Wrong(
        "add_bias_unsummed",
        "mlpack/mlpack#3679: Add::Gradient() does not sum over the batch",
        with_backward(add_bias, add_bias_backward),
        normals(128, (6, 3), (3,)),
        add_bias,
        "The gradient of the bias is that of one row of the batch, not the sum of all.",
        ("reduction_missing", "cotangent_in_part"),
    ),
    Wrong(
        "conv_weight_mean",
        "sebgao/cTensor#3: the gradient of the weight is divided by B * H * W",
        with_backward(conv, conv_backward),
        normals(129, (3, 2, 6, 5), (4, 2, 3, 3)),
        conv,
        "The gradient of the weight is divided by the number of examples and places.",
        ("constant_factor", "wrong_reduction"),
    ),
    Wrong(
        "subtract_sign",
        "KhawajaAbaid/micrograd_c#1: backward_subtract's gradient of the second value is wrong",
        with_backward(subtract, lambda args, dy: (dy, dy)),
        normals(130, (3, 6), (3, 6)),
        None,
        "The gradient of the second argument lacks its minus sign.",
        ("wrong_sign",),
    ),
    Wrong(
        "sine_sign",
        "jax-ml/jax#3213: the derivative by y of sin(x) * y has a wrong sign in the documentation",
        with_backward(sine_times, sine_times_backward),
        normals(131, (4, 5), (4, 5)),
        sine_times,
        "The gradient of the second argument has the wrong sign.",
        ("wrong_sign",),
    ),
    Wrong(
        "three_in_order",
        "apache/mxnet#5980: the order of input_grads differs from that of the data",
        with_backward(three, three_backward),
        normals(132, (4, 3), (4, 3), (4, 3)),
        three,
        "The gradients are returned in another order than the arguments.",
        ("other_arguments_gradient",),
    ),
    Wrong(
        "three_switched",
        "stripe/rainier#445: the first two elements of the gradient are switched",
        with_backward(three_of, three_of_backward),
        normals(133, (7,), (7,), (7,)),
        three_of,
        "The gradients of the first two arguments are exchanged.",
        ("other_arguments_gradient",),
    ),
    Wrong(
        "scaled_loss",
        "lanl/scico#468: Loss.grad ignores a scale set by multiplication",
        with_backward(scaled_loss, scaled_loss_backward),
        normals(134, (4, 6), (4, 6)),
        scaled_loss,
        "The gradient lacks the scale of the loss.",
        ("constant_factor",),
    ),
    Wrong(
        "bell_half",
        "graphdeco-inria/gaussian-splatting#551: a coefficient of the gradient is -0.5, not -1",
        with_backward(bell, bell_backward),
        normals(135, (6, 2), (6,), (6,), (6,)),
        bell,
        "The gradient of the mixed coefficient is half of what it should be.",
        ("constant_factor",),
    ),
    Wrong(
        "rms_constant",
        "ooples/AiDotNet#695: RmsNormBackward ignores that rms depends on the input",
        with_backward(rms, rms_constant_backward),
        normals(136, (5, 6), (6,)),
        rms,
        "The root mean square is taken as a constant.",
        ("statistics_constant", "variance_term_missing"),
    ),
    Wrong(
        "rms_offset",
        "linkedin/Liger-Kernel#74: Gemma's RMSNorm needs the weight with an offset of 1.0",
        with_backward(rms, rms_offset_backward),
        normals(137, (4, 7), (7,)),
        rms,
        "The gradient of the input uses the weight without its offset of one.",
        ("parameter_changed",),
    ),
    Wrong(
        "rms_no_weight",
        "karpathy/llm.c#763: a reader's RMSNorm forgot to multiply by the weight in the backward",
        with_backward(rms, rms_no_weight_backward),
        normals(138, (6, 4), (4,)),
        rms,
        "The gradient of the input is not multiplied by the weight.",
        ("parameter_changed",),
    ),
    Wrong(
        "batch_norm_sum",
        "mlpack/mlpack#1327: the backward step of the batch normalisation adds an undivided sum",
        with_backward(batch_norm, batch_norm_backward),
        normals(139, (8, 3), (3,)),
        batch_norm,
        "The sum of the gradients over the batch is subtracted instead of their mean.",
        ("wrong_reduction",),
    ),
    Wrong(
        "head_loss_hidden",
        "verl-project/verl#6913: a flattened copy loses requires_grad, so hidden states get none",
        with_backward(head_loss, head_loss_backward),
        normals(140, (2, 3, 4), (4, 5)),
        head_loss,
        "The hidden states get no gradient.",
        ("argument_constant",),
    ),
    Wrong(
        "exponential_conjugate",
        "FluxML/Zygote.jl#961: the adjoint of exp for complex CuArrays lacks a conj",
        with_backward(exponential, exponential_backward),
        (COMPLEX,),
        exponential,
        "The derivative is conjugated though the convention asks for it as it is.",
        ("conjugate_missing",),
    ),
    Wrong(
        "compose_conjugate",
        "EnzymeAD/Reactant.jl#2294: the gradient of the imaginary part of complex is negated",
        with_backward(compose, compose_backward),
        normals(141, (4, 5), (4, 5)),
        compose,
        "The gradient of the imaginary part lacks the sign that a conjugate would give.",
        ("conjugate_missing", "wrong_sign"),
    ),
    Wrong(
        "fourier_inverse",
        "HIPS/autograd#185: potentially wrong gradients of fft",
        with_backward(fourier, fourier_backward),
        (normal(142, 3, 6) + 1j * normal(143, 3, 6),),
        fourier,
        "The backward pass uses the conjugate transform instead of the transform itself.",
        ("conjugate_missing", "spatially_flipped"),
    ),
    Wrong(
        "statistics_filled",
        "chainer/chainer#4015: a gradient of None of an unused output is overwritten by ones",
        FILLED,
        (normal(144, 5, 4),),
        mean_and_top,
        "Only if an output is unused, its cotangent is taken for ones instead of zeros.",
        ("unused_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "offset_sized",
        "pytorch/pytorch#193016: the buffer for the offset is sized by the gradient of the weight",
        SIZED,
        normals(145, (6, 4), (4,), (4,)),
        scale_offset,
        "Only if the weight is not differentiated, the offset gets no gradient.",
        ("unused_wrong",),
        TRANSFORMS,
    ),
]
