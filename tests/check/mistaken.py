"""Forward passes, arguments for them, and rules with a mistake that is made on purpose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from rules import normal

from jaxconv.check import check_rule
from jaxconv.check.naming import argument_names

# Forward passes, and arguments of two shapes for each.


def dense(x, w, b):
    return x @ w + b


DENSE = [
    [normal(1, (4, 3)), normal(2, (3, 5)), normal(3, (5,))],
    [normal(4, (6, 5)), normal(5, (5, 2)), normal(6, (2,))],
]
SQUARE = [[normal(1, (4, n)), normal(2, (n, n)), normal(3, (n,))] for n in (4, 3)]


def conv(x, w):
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


CONV = [
    [normal(1, (2, 5, 6, 2)), normal(2, (3, 3, 2, 2))],
    [normal(3, (3, 4, 5, 3)), normal(4, (3, 3, 3, 3))],
]


def blur(x, w):
    """Along one axis, without padding."""
    return sum(x[:, a : x.shape[1] - w.size + 1 + a] * w[a] for a in range(w.size))


BLUR = [[normal(1, (2, 7)), normal(2, (3,))], [normal(3, (3, 9)), normal(4, (4,))]]


def pool(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def whole(x):
    return x.mean((1, 2))


IMAGES = [[normal(1, (2, 4, 6, 3))], [normal(2, (3, 6, 2, 2))]]


def relu(x):
    return jnp.where(x > 0, x, 0)


def relu6(x):
    return jnp.clip(x, 0, 1)


def leaky(x):
    return jnp.where(x > 0, x, 0.1 * x)


VECTORS = [[normal(1, (4, 7))], [normal(2, (3, 5))]]


def normalize(x, axes=(0,), eps=1e-5):
    x = x - x.mean(axes, keepdims=True)
    return x / jnp.sqrt((x * x).mean(axes, keepdims=True) + eps)


def batch_norm(x, scale, bias):
    return normalize(x) * scale + bias


def layer_norm(x, scale, bias):
    return normalize(x, (-1,)) * scale + bias


def group_norm(x):
    n, h, w, c = x.shape
    return normalize(x.reshape(n, h, w, 2, c // 2), (1, 2, 4)).reshape(x.shape)


def rms_norm(x):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


NORM = [
    [normal(1, (6, 4)), normal(2, (4,)), normal(3, (4,))],
    [normal(4, (5, 7)), normal(5, (7,)), normal(6, (7,))],
]
GROUPS = [[normal(1, (2, 3, 2, 4))], [normal(2, (1, 2, 4, 6))]]


def scale_by(x, s):
    return x * s


SCALE = [[normal(1, (4, 4)), normal(2, (4,))], [normal(3, (5, 5)), normal(4, (5,))]]


def both_waves(x):
    return jnp.sin(x), jnp.cos(x)


MATRICES = [[normal(1, (2, 5, 5))], [normal(2, (6, 6))]]


def causal(x):
    return jnp.tril(x)


def banded(x):
    return jnp.triu(jnp.tril(x, 1), -1)


def rough_norm(x, eps=1e-2):
    return normalize(x, (-1,), eps)


def product(x, w):
    return jnp.sin(x) * w * w


PAIRS = [[normal(1, (3, 4)), normal(2, (3, 4))], [normal(3, (5, 2)), normal(4, (5, 2))]]


def prelu(x, slope):
    return jnp.where(x > 0, x, slope * x)


def right(function, *args):
    """(dy) → the right gradients there."""
    return lambda dy: list(jax.vjp(function, *args)[1](dy))


def mistaken(function, change):
    """A rule whose gradients are those of `change(args, y, dy)`, which returns them all."""
    function = jax.jit(function)

    @jax.custom_vjp
    def rule(*args):
        return function(*args)

    def forward(*args):
        return function(*args), args

    @jax.jit
    def backward(args, dy):
        found = change(args, function(*args), dy)
        return tuple(f.astype(a.dtype) for f, a in zip(found, args, strict=True))

    rule.defvjp(forward, backward)
    return rule


def after(function, leaf, change):
    """The right gradients, but for one that is changed."""

    def wrong(args, y, dy):
        found = right(function, *args)(dy)
        found[leaf] = change(found[leaf])
        return found

    return mistaken(function, wrong)


def at(function, leaf, **changes):
    """One gradient at changed arguments, `args={number: change}`, or a changed cotangent, `dy=`."""

    def wrong(args, y, dy):
        found = right(function, *args)(dy)
        moved = [changes.get("args", {}).get(i, lambda a: a)(a) for i, a in enumerate(args)]
        found[leaf] = right(function, *moved)(changes.get("dy", lambda d: d)(dy))[leaf]
        return found

    return mistaken(function, wrong)


def diagnosed(rule, function, shapes, leaf=None, **options):
    """The diagnosis of the first failure, of one argument if it is given."""
    report = check_rule(
        rule, shapes[0], function, others=shapes[1:], transforms=(), finite_differences=False,
        **options,
    )  # fmt: skip
    assert not report.ok
    names = argument_names((rule, function), len(shapes[0]))
    failures = [f for f in report.failures if leaf is None or f.argument == names[leaf]]
    assert failures, report
    return failures[0].diagnosis


def swap_last(a):
    return a.swapaxes(-1, -2)


def masked(dy, index):
    return jnp.zeros_like(dy).at[index].set(dy[index])


def norm_terms(mean, variance, axes=(0,)):
    def change(args, y, dy):
        x, scale, _ = args
        found = right(batch_norm if axes == (0,) else layer_norm, *args)(dy)
        r = 1 / jnp.sqrt(x.var(axes, keepdims=True) + 1e-5)
        n, g = (x - x.mean(axes, keepdims=True)) * r, dy * scale
        found[0] = r * (
            g
            - mean * g.mean(axes, keepdims=True)
            - variance * n * (g * n).mean(axes, keepdims=True)
        )
        return found

    return change


def group_terms(args, y, dy):
    x = args[0]
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, 2, c // 2)
    r = 1 / jnp.sqrt(x.var((1, 2, 4), keepdims=True) + 1e-5)
    return [(r * dy.reshape(x.shape)).reshape(args[0].shape)]


def rms_terms(args, y, dy):
    x = args[0]
    return [dy / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)]


def assigned(args, y, dy):
    """The gradient of `blur`, where each output writes over what the one before it wrote."""
    x, w = args
    dx = jnp.zeros_like(x)
    for i in range(dy.shape[1]):
        for a in range(w.size):
            dx = dx.at[:, i + a].set(dy[:, i] * w[a])
    return [dx, right(blur, *args)(dy)[1]]


def only(leaf, value):
    """One gradient from (args, y, dy), the others right; the function is bound first."""

    def bind(function):
        def change(args, y, dy):
            found = right(function, *args)(dy)
            found[leaf] = value(args, y, dy)
            return found

        return mistaken(function, change)

    return bind


softmax = functools.partial(jax.nn.softmax, axis=-1)
log_softmax = functools.partial(jax.nn.log_softmax, axis=-1)
SOFT = [[normal(1, (4, 5))], [normal(2, (3, 7))]]


def rounded(dtype):
    return lambda a: a.astype(dtype).astype(a.dtype)


def windows(x, w, stride, dilation, low):
    """y_i = Σ w_a x[stride·i + dilation·a − low], in rows of five outputs."""
    places = stride * np.arange(5)[:, None] + dilation * np.arange(w.size)[None, :] - low
    inside = (places >= 0) & (places < x.shape[1])
    read = jnp.where(inside, x[:, np.clip(places, 0, x.shape[1] - 1)], 0)
    return jnp.sum(read * w, axis=-1)


def in_windows(stride, dilation, low):
    def function(x, w):
        return windows(x, w, stride, dilation, low)

    return function


def with_windows(function, *other):
    """The gradient of x is that of other windows."""
    return mistaken(
        function,
        lambda args, y, dy: [
            right(in_windows(*other), *args)(dy)[0],
            right(function, *args)(dy)[1],
        ],
    )


STRIDED, SPREAD, PADDED = in_windows(2, 1, 0), in_windows(1, 2, 0), in_windows(2, 1, 3)
ROWS = [[normal(1, (2, 11)), normal(2, (3,))], [normal(3, (3, 12)), normal(4, (3,))]]
LONGER = [[normal(1, (2, 11)), normal(2, (5,))], [normal(3, (3, 12)), normal(4, (5,))]]
