"""A deliberate mistake is called by its name."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from check.mistaken import (
    BLUR,
    CONV,
    DENSE,
    GROUPS,
    IMAGES,
    LONGER,
    MATRICES,
    NORM,
    PADDED,
    PAIRS,
    ROWS,
    SCALE,
    SOFT,
    SPREAD,
    SQUARE,
    STRIDED,
    VECTORS,
    after,
    assigned,
    at,
    banded,
    batch_norm,
    blur,
    both_waves,
    causal,
    conv,
    dense,
    diagnosed,
    group_norm,
    group_terms,
    layer_norm,
    leaky,
    log_softmax,
    masked,
    mistaken,
    norm_terms,
    only,
    pool,
    prelu,
    product,
    relu,
    relu6,
    right,
    rms_norm,
    rms_terms,
    rough_norm,
    rounded,
    scale_by,
    softmax,
    swap_last,
    whole,
    with_windows,
)
from rules import normal

from jaxconv.check.diagnosis.hypothesis import HYPOTHESES

# name, the rule, the function, arguments, the argument whose gradient is wrong, words in the
# sentence.
MISTAKES = [
    ("wrong_sign", after(dense, 1, lambda g: -g), dense, DENSE, 1, "d(w)"),
    ("argument_constant", after(dense, 0, lambda g: 0 * g), dense, DENSE, 0, "constant"),
    ("constant_factor", after(dense, 0, lambda g: 2 * g), dense, DENSE, 0, "is 2 times"),
    ("constant_factor", after(dense, 0, lambda g: g / 2), dense, DENSE, 0, "½ times"),
    ("constant_factor", after(dense, 0, lambda g: -1.7 * g), dense, DENSE, 0, "−17/10 times"),
    ("constant_factor", after(dense, 2, lambda g: g / 4), dense, [DENSE[0]] * 1 + [
        [normal(7, (4, 2)), normal(8, (2, 3)), normal(9, (3,))]], 2, "1/N, where N = 4"),
    ("constant_factor", only(2, lambda args, y, dy: dy.mean(0))(dense), dense, DENSE, 2,
     "1/N, where N = 4 (axis 0 of x)"),
    ("constant_factor", after(whole, 0, lambda g: g * (g.shape[1] * g.shape[2])), whole, IMAGES,
     0, "24 times what it should be, which is H·W (axes 1 and 2"),
    ("constant_factor", after(pool, 0, lambda g: 4 * g), pool, IMAGES, 0,
     "4 times what it should be, which is the window area"),
    ("constant_factor", after(conv, 0, lambda g: 9 * g), conv, CONV, 0,
     "9 times what it should be, which is the window area"),
    ("constant_factor", after(blur, 0, lambda g: 9 * g), blur, BLUR, 0, "window of 3 × 3"),
    ("stride_forgotten", with_windows(STRIDED, 1, 1, 0), STRIDED, ROWS, 0,
     "the stride 1 instead of 2"),
    ("dilation_forgotten", with_windows(SPREAD, 1, 1, 0), SPREAD, ROWS, 0,
     "the dilation 1 instead of 2"),
    ("padding_forgotten", with_windows(PADDED, 2, 1, 0), PADDED, LONGER, 0,
     "the padding before the first element 0 instead of 3"),
    ("parameter_changed", only(0, lambda args, y, dy: dy * jnp.cos(args[0]))(product), product,
     PAIRS, 0, "1 in the place of w"),
    ("other_arguments_gradient",
     mistaken(product, lambda args, y, dy: right(product, *args)(dy)[::-1]), product, PAIRS, 0,
     "gradient of w"),
    ("spatially_flipped", after(conv, 1, lambda g: g[::-1, ::-1]), conv, CONV, 1, "axes 0 and 1"),
    ("spatially_flipped", at(conv, 0, args={1: lambda w: w[::-1, ::-1]}), conv, CONV, 0,
     "from w, flipped along axes 0 and 1"),
    ("spatially_flipped", at(blur, 1, dy=lambda d: d[:, ::-1]), blur, BLUR, 1, "cotangent"),
    ("spatially_flipped", after(conv, 1, lambda g: -g[:, ::-1]), conv, CONV, 1, "−1 times that"),
    ("channels_exchanged", after(conv, 1, swap_last), conv, CONV, 1, "axes 2 and 3"),
    ("channels_exchanged", at(conv, 0, args={1: swap_last}), conv, CONV, 0, "axes 2 and 3"),
    ("axes_swapped", after(dense, 1, swap_last), dense, SQUARE, 1, "axes 0 and 1"),
    ("axes_swapped", at(dense, 0, args={1: swap_last}), dense, SQUARE, 0, " w "),
    ("axes_swapped", only(1, lambda args, y, dy: (dy.T @ args[0]).reshape(args[1].shape))(dense),
     dense, DENSE, 1, "axes 0 and 1"),
    ("axes_swapped", at(dense, 0, args={1: lambda w: w.reshape(w.shape[::-1]).T}), dense, DENSE,
     0, "read as if"),
    ("shifted", after(conv, 0, lambda g: jnp.roll(g, 1, 1)), conv, CONV, 0, "1 along axis 1"),
    ("shifted", at(blur, 1, args={0: lambda x: jnp.pad(x, ((0, 0), (1, 0)))[:, :-1]}), blur, BLUR,
     1, "zeros come in"),
    ("shifted", after(blur, 0, lambda g: jnp.roll(g, -1, 1).at[:, -1].set(7.0)), blur, BLUR, 0,
     "−1 along axis 1"),
    ("shifted", at(conv, 0, dy=lambda d: jnp.roll(d, (1, 1), (1, 2))), conv, CONV, 0,
     "axes 1 and 2 cyclically"),
    ("cotangent_ignored", at(dense, 1, dy=jnp.ones_like), dense, DENSE, 1, "1 everywhere"),
    ("cotangent_ignored", at(dense, 0, dy=lambda d: jnp.full_like(d, d.mean())), dense, DENSE, 0,
     "its mean"),
    ("cotangent_squared", at(dense, 0, dy=lambda d: d * d), dense, DENSE, 0, "dy²"),
    ("one_sample_only", at(dense, 1, dy=lambda d: masked(d, -1)), dense, DENSE, 1, "last sample"),
    ("one_sample_only", only(2, lambda args, y, dy: dy[0])(dense), dense, DENSE, 2, "first"),
    ("last_window_only", mistaken(blur, assigned), blur, BLUR, 0, "axis 1"),
    ("last_window_only", at(blur, 1, dy=lambda d: masked(d, (slice(None), -1))), blur, BLUR, 1,
     "axis 1 of y"),
    ("mask_missing", mistaken(relu, lambda args, y, dy: [dy]), relu, VECTORS, 0, "mask"),
    ("mask_threshold", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] > 0.5, dy, 0)]),
     relu, VECTORS, 0, "x is from"),
    ("mask_threshold", mistaken(relu6, lambda args, y, dy: [jnp.where(args[0] > 0, dy, 0)]), relu6,
     [[normal(1, (6, 7))], [normal(2, (3, 5))]], 0, "or more"),
    ("mask_threshold", mistaken(leaky, lambda args, y, dy: [dy]),
     leaky, VECTORS, 0, "10 times"),
    ("mean_term_missing", mistaken(batch_norm, norm_terms(0, 1)), batch_norm, NORM, 0, "axis 0"),
    ("variance_term_missing", mistaken(batch_norm, norm_terms(1, 0)), batch_norm, NORM, 0, "x̂"),
    ("statistics_constant", mistaken(batch_norm, norm_terms(0, 0)), batch_norm, NORM, 0, "mean"),
    ("mean_term_missing", mistaken(layer_norm, norm_terms(0, 1, (-1,))), layer_norm, NORM, 0,
     "axis 1"),
    ("variance_term_missing", mistaken(layer_norm, norm_terms(1, 0, (-1,))), layer_norm, NORM, 0,
     "axis 1"),
    ("statistics_constant", mistaken(group_norm, group_terms), group_norm, GROUPS, 0, "2 groups"),
    ("variance_term_missing", mistaken(rms_norm, rms_terms), rms_norm,
     [[normal(1, (3, 5))], [normal(2, (2, 6))]], 0, "axis 1"),
    ("diagonal_only", mistaken(softmax, lambda args, y, dy: [dy * y * (1 - y)]), softmax, SOFT, 0,
     "diagonal"),
    ("reduction_missing", mistaken(softmax, lambda args, y, dy: [dy * y]), softmax, SOFT, 0,
     "axis 1 is left out"),
    ("reduction_missing", mistaken(log_softmax, lambda args, y, dy: [dy]), log_softmax, SOFT, 0,
     "axis 1 is left out"),
    ("reduction_missing", only(1, lambda args, y, dy: jnp.sum(
        jnp.where(args[0] < 0, dy * args[0], 0)[:, -1]))(prelu),
     prelu, [[v[0], np.float64(0.3)] for v in VECTORS], 1, "axis 1 of y"),
    ("wrong_reduction", only(1, lambda args, y, dy: (dy * args[0]).sum(1))(scale_by), scale_by,
     SCALE, 1, "axis 1 of y"),
    ("wrong_reduction", mistaken(softmax, lambda args, y, dy: [
        y * (dy - (y * dy).sum(0, keepdims=True))]), softmax, SOFT, 0, "taken over axis 0"),
    ("wrong_point", only(0, lambda args, y, dy: dy * jnp.cos(y) * args[1] ** 2)(product), product,
     PAIRS, 0, "with y in the place of "),
    ("wrong_point", only(1, lambda args, y, dy: 2 * jnp.sin(args[1]) * args[0] * dy)(product),
     product, PAIRS, 1, "exchanged"),
    ("border_wrong", after(blur, 0, lambda g: g.at[:, 0].set(0).at[:, -1].set(0)), blur, BLUR, 0,
     "0 within 1"),
    ("border_wrong", at(conv, 0, dy=lambda d: d.at[:, 0].multiply(1.5).at[:, -1].multiply(1.5)),
     conv, CONV, 0, "3/2"),
    ("not_finite", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] < -1, jnp.nan, 1) *
        jnp.where(args[0] > 0, dy, 0)]), relu, VECTORS, 0, "is NaN at"),
    ("not_finite", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] > 0, dy, 0) / (
        jnp.where(args[0] == args[0][0, 0], 0.0, 1.0))]), relu, VECTORS, 0,
        "infinite where x is"),
    ("output_ignored", at(both_waves, 0, dy=lambda d: (d[0], 0 * d[1])), both_waves, VECTORS, 0,
        "ignores the cotangent of output 1"),
    ("cotangent_in_part", at(relu, 0, dy=lambda d: jnp.full_like(d, d[0, 0])), relu, VECTORS, 0,
        "first element"),
    ("cotangent_in_part", at(dense, 1, dy=lambda d: d[:, :1] * jnp.ones_like(d)), dense, DENSE, 1,
        "first index of axis 1"),
    ("triangle_wrong", mistaken(causal, lambda args, y, dy: [dy]), causal, MATRICES, 0,
        "+1 and above"),
    ("triangle_wrong", mistaken(causal, lambda args, y, dy: [jnp.tril(dy, -1)]), causal, MATRICES,
        0, "+0 and above"),
    ("band_wrong", mistaken(banded, lambda args, y, dy: [dy]), banded, MATRICES, 0,
        "-2 and below, +2 and above"),
    ("rows_wrong", after(dense, 0, lambda g: g.at[-1:].set(0)), dense, DENSE, 0,
        "0 at the last index of axis 0"),
    ("epsilon_forgotten", mistaken(rough_norm, lambda args, y, dy: right(
        lambda x: rough_norm(x, 0.0), *args)(dy)), rough_norm, [[normal(1, (6, 4))],
        [normal(2, (5, 7))]], 0, "small number"),
    ("wrong_axis", mistaken(softmax, lambda args, y, dy: right(
        lambda x: softmax(x.T).T, *args)(dy)), softmax, SOFT, 0, "axes 0 and 1"),
    ("other_derivative", mistaken(jax.nn.silu, lambda args, y, dy: right(
        jax.nn.mish, *args)(dy)), jax.nn.silu, VECTORS, 0, "mish"),
    ("precision_lost", after(dense, 1, rounded(jnp.float32)), dense, DENSE, 1, "float32"),
    ("precision_lost", at(dense, 1, args={0: rounded(jnp.bfloat16)}), dense, DENSE, 1,
     "rounded to bfloat16"),
    ("precision_lost", at(dense, 1, dy=rounded(jnp.float16)), dense, DENSE, 1, "dy rounded"),
    ("precision_lost", only(0, lambda args, y, dy: dy * jnp.cos(
        args[0].astype(jnp.float32)).astype(dy.dtype) * args[1] ** 2)(product), product, PAIRS, 0,
     "float32"),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "rule", "function", "shapes", "leaf", "words"),
    [pytest.param(*m, id=f"{m[0]}-{i}") for i, m in enumerate(MISTAKES)],
)
def test_mistake_is_named(name, rule, function, shapes, leaf, words):
    found = diagnosed(rule, function, shapes, leaf)
    assert found is not None
    assert found.name == name, found
    assert words in found.sentence
    assert found.page.endswith(f"docs/diagnoses.md#{name}")
    assert found.residual < (1e-5 if name == "precision_lost" else 1e-9)


ELSEWHERE = {"stale_residual", "conjugate_missing"}
"""Hypotheses whose mistakes are made in other tests."""

OF_A_STEP = {"statistics_given", "step_extra", "step_missing", "wrong_operand"}
"""Names of changes of one step; test_repair.py has their mistakes."""

OF_A_LEVEL = {"compiled_only", "batch_wrong", "unused_wrong", "second_order_wrong"}
"""Names that follow from the level at which a gradient is wrong."""


def test_every_hypothesis_has_a_mistake():
    assert {name for name, *_ in MISTAKES} | ELSEWHERE == set(HYPOTHESES)


def test_every_hypothesis_has_a_page():
    pages = (Path(__file__).parents[2] / "docs" / "diagnoses.md").read_text()
    assert set(re.findall(r"^## (\w+)$", pages, re.M)) == set(HYPOTHESES) | OF_A_LEVEL | OF_A_STEP
