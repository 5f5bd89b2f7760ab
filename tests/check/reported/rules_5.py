"""Gathering and scattering, products, linear algebra and points where formulas break down."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, traced, with_backward
from jax import lax
from jax.scipy.linalg import solve_triangular

WORDS = np.array([[1, 4, 0, 2], [3, 0, 4, 1], [4, 5, 2, 4]])
REPEATED = np.array([1, 4, 0, 2, 4, 5, 2, 4])
SEGMENTS = np.array([0, 2, 1, 0, 2, 2, 3])


# Rows of a table, where the row 0 means padding and yields zeros.
def embed(table):
    return jnp.where((WORDS == 0)[..., None], 0.0, table[WORDS])


def embed_backward(args, dy):
    (table,) = args
    return (jnp.zeros_like(table).at[WORDS].add(dy),)


def look_up(table):
    return table[REPEATED]


def look_up_backward(args, dy):
    (table,) = args
    dtable = jnp.zeros_like(table)
    for place, word in enumerate(REPEATED):
        dtable = dtable.at[word].set(dy[place])
    return (dtable,)


# The largest entries among the rows of each bag.
def bag(table):
    return table[WORDS].max(1)


def bag_backward(args, dy):
    (table,) = args
    share = jnp.broadcast_to(dy[:, None] / WORDS.shape[1], (*WORDS.shape, table.shape[1]))
    return (jnp.zeros_like(table).at[WORDS].add(share),)


# Products of the rows of each segment.
def segment_product(x):
    return jnp.stack([x[s == SEGMENTS].prod(0) for s in range(4)])


def segment_product_backward(args, dy):
    return (dy[SEGMENTS],)


def segment_division_backward(args, dy):
    (x,) = args
    y = segment_product(x)
    return (jnp.where(x == 0, 0.0, dy[SEGMENTS] * y[SEGMENTS] / jnp.where(x == 0, 1.0, x)),)


# The largest rows of each segment, without the rows that were there before.
def segment_max(base, x):
    found = jnp.stack([x[s == SEGMENTS].max(0) for s in range(4)])
    return jnp.concatenate([found, base[4:]])


def segment_max_backward(args, dy):
    base, x = args
    y = segment_max(base, x)
    kept = (base.at[:4].set(-jnp.inf) == y) * 1.0
    won = (x == y[SEGMENTS]) * 1.0
    return dy / kept * kept, dy[SEGMENTS] * won


# Products along an axis.
def product(x):
    return x.prod(-1)


def product_backward(args, dy):
    (x,) = args
    return (dy[:, None] * x.prod(-1, keepdims=True) / x,)


def products(x):
    return lax.associative_scan(jnp.multiply, x, axis=-1)


def products_divided(args, dy):
    (x,) = args
    terms = (dy * products(x))[:, ::-1]
    return (jnp.cumsum(terms, -1)[:, ::-1] / x,)


def products_zeroed(args, dy):
    (_x,) = args
    (dx,) = products_divided(args, dy)
    return (jnp.where(jnp.isfinite(dx), dx, 0.0),)


# Logarithms of running sums of exponentials.
def log_sums(x):
    return lax.cumlogsumexp(x, axis=1)


def log_sums_backward(args, dy):
    (x,) = args
    terms = (dy * jnp.exp(-log_sums(x)))[:, ::-1]
    return (jnp.cumsum(terms, -1)[:, ::-1] * jnp.exp(x),)


# Triangular systems.
def solve_unit(a, b):
    return solve_triangular(a, b, lower=True, unit_diagonal=True)


def solve_unit_backward(args, dy):
    a, b = args
    y = solve_unit(a, b)
    db = solve_triangular(a, dy, lower=True, unit_diagonal=True, trans=1)
    return jnp.tril(-db @ y.T), db


def solve_turned(a, b):
    return solve_triangular(a, b, lower=True, trans=1)


def solve_turned_backward(args, dy):
    a, b = args
    y = solve_turned(a, b)
    db = solve_triangular(a, dy, lower=True)
    return jnp.tril(-db @ y.T), db


# The upper Cholesky factor, which looks at the upper half only.
def upper_factor(a):
    upper = jnp.triu(a)
    return jnp.linalg.cholesky(upper + jnp.triu(a, 1).T, symmetrize_input=False).T


def upper_factor_backward(args, dy):
    (a,) = args

    def whole(a):
        return jnp.linalg.cholesky((a + a.T) / 2, symmetrize_input=False).T

    upper = jnp.triu(a) + jnp.triu(a, 1).T
    return jax.vjp(whole, upper)[1](dy)


# Determinants.
def by_cofactors(a):
    return (
        a[:, 0, 0] * (a[:, 1, 1] * a[:, 2, 2] - a[:, 1, 2] * a[:, 2, 1])
        - a[:, 0, 1] * (a[:, 1, 0] * a[:, 2, 2] - a[:, 1, 2] * a[:, 2, 0])
        + a[:, 0, 2] * (a[:, 1, 0] * a[:, 2, 1] - a[:, 1, 1] * a[:, 2, 0])
    )


def cofactors_backward(args, dy):
    (a,) = args
    inverse = jnp.linalg.inv(a).swapaxes(-1, -2)
    return (dy[:, None, None] * by_cofactors(a)[:, None, None] * inverse,)


# A matrix taken apart and put together again.
def rebuilt(a):
    u, s, v = jnp.linalg.svd(a, full_matrices=False)
    return jnp.sqrt((((u * s) @ v) ** 2).sum())


def frobenius(a):
    return jnp.sqrt((a**2).sum())


# Squares of lengths.
def squared_lengths(x):
    return jnp.linalg.norm(x, axis=-1) ** 2


def squared_lengths_reference(x):
    return (x**2).sum(-1)


# Sums along the diagonal.
def trace(a):
    return jnp.trace(a)


def trace_backward(args, dy):
    (a,) = args
    n, m = a.shape
    return (jnp.zeros(n * m, a.dtype).at[np.arange(0, n * m, m + 1)].set(dy).reshape(n, m),)


# Distances between points, measured with third powers.
def distances(x, y):
    return (jnp.abs(x[:, None] - y[None]) ** 3).sum(-1) ** (1 / 3)


def distances_backward(args, dy):
    x, y = args
    part = (dy / distances(x, y))[..., None] * (x[:, None] - y[None])
    return part.sum(1), -part.sum(0)


def pair_distance(x, y):
    return jnp.sqrt(((x - y) ** 2).sum(-1))


def pair_distance_backward(args, dy):
    x, y = args
    dx = dy[:, None] * (x - y)
    return dx, -dx


# A slice replaced by something else.
def replaced(x, new):
    return x.at[1:4].set(new)


def replaced_backward(args, dy):
    x, new = args
    if traced(x, new, dy):
        return jnp.zeros_like(x), dy[1:4]
    return jax.vjp(replaced, x, new)[1](dy)


# Powers with a fixed whole exponent.
POWERS = np.array([0, 1, 2, 3, 0, 2])


def powers(x):
    return jnp.stack([x[..., i] ** int(n) for i, n in enumerate(POWERS)], -1)


def powers_backward(args, dy):
    (x,) = args
    if traced(x, dy):
        return (dy * POWERS * x ** (POWERS - 1.0),)
    return jax.vjp(powers, x)[1](dy)


HOLES = normal(100, 7, 3)
HOLES[3, 1] = HOLES[1, 0] = HOLES[6, 2] = 0.0
GAPS = normal(101, 5, 6)
GAPS[1, 2] = GAPS[3, 0] = GAPS[4, 5] = 0.0
SYMMETRIC = normal(102, 5, 5)
SYMMETRIC = SYMMETRIC @ SYMMETRIC.T + 2 * np.eye(5)
SINGULAR = normal(103, 4, 3, 3)
SINGULAR[1] = [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]]
EMPTY = normal(104, 6, 4)
EMPTY[1] = EMPTY[4] = 0.0
TRIANGLE = normal(105, 5, 5) * 0.4 + 2 * np.eye(5)
FLAT = normal(106, 4, 6)
FLAT[0, 0] = FLAT[2, 4] = 0.0

RULES = [
    Wrong(
        "embedding_padding",
        "pytorch/pytorch#26302: the gradient of the vector at padding_idx is not zero",
        with_backward(embed, embed_backward),
        (normal(107, 6, 5),),
        embed,
        "The places of padding get a gradient, though they yield zeros.",
        ("mask_missing", "rows_wrong"),
    ),
    Wrong(
        "embedding_repeated",
        "tenstorrent/tt-metal#6232: embedding backward is incorrect for repeated indices",
        with_backward(look_up, look_up_backward),
        (normal(108, 6, 4),),
        None,
        "Of several places that use the same row, only the last gives it a gradient.",
        ("last_window_only",),
    ),
    Wrong(
        "embedding_bag_max",
        "flagos-ai/FlagGems#5220: _embedding_bag_dense_backward gives max the gradient of mean",
        with_backward(bag, bag_backward),
        (normal(109, 6, 3),),
        bag,
        "The gradient of a maximum is spread over the rows as that of a mean.",
        ("other_derivative",),
    ),
    Wrong(
        "segment_product",
        "jax-ml/jax#9296: incorrect gradient of a function with segment_prod",
        with_backward(segment_product, segment_product_backward),
        (normal(110, 7, 3),),
        segment_product,
        "The gradient of a factor is not multiplied by the other factors of its segment.",
        (),
    ),
    Wrong(
        "scatter_product_zero",
        "pytorch/pytorch#76523: scatter_reduce's prod backward was zero for elements that are zero",
        with_backward(segment_product, segment_division_backward),
        (HOLES,),
        segment_product,
        "Elements that are zero get no gradient, as the others are found by a division.",
        ("mask_threshold",),
    ),
    Wrong(
        "segment_max_not_a_number",
        "pytorch/pytorch#169263: index_reduce amax without self gives NaN gradients",
        with_backward(segment_max, segment_max_backward),
        (normal(111, 6, 3), normal(112, 7, 3)),
        segment_max,
        "Where no element of the base is a maximum, zero is divided by zero.",
        ("not_finite",),
    ),
    Wrong(
        "product_zero",
        "tensorflow/tensorflow#2641: the gradient of reduce_prod is nan where an element is zero",
        with_backward(product, product_backward),
        (GAPS,),
        product,
        "The product is divided by an element that is zero.",
        ("not_finite",),
    ),
    Wrong(
        "products_zero",
        "tracel-ai/burn#3864: the gradient of cumprod is NaN when the input contains zeros",
        with_backward(products, products_divided),
        (GAPS,),
        products,
        "The running products are divided by an element that is zero.",
        ("not_finite",),
    ),
    Wrong(
        "products_zeroed",
        "tensorflow/tensorflow#119430: the gradient of cumprod is 0 where the input is zero",
        with_backward(products, products_zeroed),
        (GAPS,),
        products,
        "Where an element is zero the quotient is not a number and is replaced by zero.",
        ("mask_threshold",),
    ),
    Wrong(
        "log_sums_overflow",
        "pytorch/pytorch#36308: logcumsumexp_backward takes exp(-result) of large numbers",
        with_backward(log_sums, log_sums_backward),
        (normal(113, 4, 6) - 900.0,),
        log_sums,
        "The exponential of minus the output overflows.",
        ("not_finite",),
    ),
    Wrong(
        "solve_unit_diagonal",
        "pymc-devs/pytensor#1230: solve_triangular has diagonal gradients with unit_diagonal",
        with_backward(solve_unit, solve_unit_backward),
        (TRIANGLE, normal(114, 5, 3)),
        solve_unit,
        "The diagonal gets a gradient, though ones stand for it.",
        ("triangle_wrong",),
    ),
    Wrong(
        "solve_transposed",
        "pymc-devs/pytensor#1230: gradients of solve_triangular are incorrect when trans != 'N'",
        with_backward(solve_turned, solve_turned_backward),
        (TRIANGLE, normal(115, 5, 4)),
        solve_turned,
        "The gradient of the matrix is not transposed, though the system uses its transpose.",
        ("axes_swapped", "triangle_wrong"),
    ),
    Wrong(
        "cholesky_upper",
        "jax-ml/jax#40421: cholesky with lower=False has a gradient for the ignored triangle",
        with_backward(upper_factor, upper_factor_backward),
        (SYMMETRIC,),
        upper_factor,
        "The gradient is shared with the lower triangle, which the function ignores.",
        ("triangle_wrong",),
    ),
    Wrong(
        "determinant_singular",
        "tensorflow/tensorflow#119477: the gradient of det fails on singular matrices",
        with_backward(by_cofactors, cofactors_backward),
        (SINGULAR,),
        by_cofactors,
        "The inverse of a singular matrix does not exist, though the gradient does.",
        ("not_finite",),
    ),
    Wrong(
        "singular_values_equal",
        "jax-ml/jax#8732: the gradient of SVD is NaN if two singular values are equal",
        rebuilt,
        (np.diag([1.0, 1.0, 2.0, 3.0]),),
        frobenius,
        "The derivative of the singular vectors divides by the difference of equal values.",
        ("not_finite",),
    ),
    Wrong(
        "squared_length_zero",
        "jax-ml/jax#21723: NaN when computing the gradient of a squared norm at 0",
        squared_lengths,
        (EMPTY,),
        squared_lengths_reference,
        "The derivative of the root is infinite at zero and is multiplied by zero.",
        ("not_finite",),
    ),
    Wrong(
        "trace_tall",
        "pytorch/pytorch#171704: trace's backward is incorrect for non-square inputs",
        with_backward(trace, trace_backward),
        (normal(116, 7, 3),),
        trace,
        "The places of the diagonal are counted on past its end into later rows.",
        ("rows_wrong",),
    ),
    Wrong(
        "distances_power",
        "flagos-ai/FlagGems#5023: _cdist_backward ignores p and always computes the p=2 gradient",
        with_backward(distances, distances_backward),
        normals(117, (5, 3), (4, 3)),
        distances,
        "The gradient is that of the distance with second powers.",
        ("other_derivative", "parameter_changed"),
    ),
    Wrong(
        "pair_distance_undivided",
        "torch/DEPRECEATED-torch7-distro#48: PairwiseDistance does not divide by the norm",
        with_backward(pair_distance, pair_distance_backward),
        normals(118, (6, 3), (6, 3)),
        pair_distance,
        "The gradient is not divided by the distance, as if its half square were wanted.",
        ("other_derivative",),
    ),
    Wrong(
        "replaced_compiled",
        "pytorch/pytorch#180772: only the compiled slice_scatter backward gives x no gradient",
        with_backward(replaced, replaced_backward),
        normals(119, (6, 4), (3, 4)),
        replaced,
        "Only when compiled, the elements that were kept get no gradient.",
        ("compiled_only",),
        TRANSFORMS,
    ),
    Wrong(
        "powers_compiled",
        "jax-ml/jax#18450: the derivative of a jitted x**0 at 0 is NaN, of the plain one 0",
        with_backward(powers, powers_backward),
        (FLAT,),
        powers,
        "Only when compiled, the power zero of zero is differentiated as zero times infinity.",
        ("compiled_only", "not_finite"),
        TRANSFORMS,
    ),
]
