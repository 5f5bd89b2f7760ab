"""views and overlap_add: each other's transpose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, integers

from jaxconv._core.geometry import make_windows
from jaxconv._core.windows import add_back, overlap_add, pairwise_sum, sum_back, views
from jaxconv.check.catalogue.geometries import pool_case


@pytest.mark.parametrize("seed", range(12))
def test_transposes(seed):
    case = pool_case(seed, largest=True)
    x = integers(0, case.x)
    g = make_windows("op", jnp.asarray(x), case.window, **case.keywords)

    @jax.jit
    def apply(x, parts):
        return list(views(g, x, 0)), overlap_add(g, parts), sum_back(g, parts[0])

    seen = jax.eval_shape(lambda x: list(views(g, x, 0)), x)
    parts = [integers(i, view.shape) for i, view in enumerate(seen, start=1)]
    spread, dx, same = apply(x, parts)
    products = [np.sum(view * part) for view, part in zip(spread, parts, strict=True)]
    assert np.sum(products) == np.sum(x * dx)
    np.testing.assert_array_equal(same, overlap_add(g, [parts[0]] * len(parts)))


@pytest.mark.parametrize("seed", range(12))
def test_from_the_side_of_a_position(seed):
    case = pool_case(seed, largest=True)
    x = jnp.zeros(case.x)
    g = make_windows("op", x, case.window, **case.keywords)
    part, other = (integers(i, jax.eval_shape(lambda: next(views(g, x, 0))).shape) for i in (1, 2))
    count = np.prod(g.window)
    weights = np.append(np.arange(1, count + 1), 0).astype(part.dtype)

    @jax.jit
    def apply(part, other):
        of_term = add_back(
            g,
            lambda a, part, other: weights[a] * part + jnp.where(a < count, other, 0),
            part,
            other,
        )
        return of_term, overlap_add(g, [weights[a] * part + other for a in range(count)])

    np.testing.assert_array_equal(*apply(part, other))


@pytest.mark.parametrize("count", range(1, 10))
def test_pairwise_sum(count):
    assert_close(pairwise_sum([jnp.asarray(2.0**i) for i in range(count)]), 2.0**count - 1)


def test_pairwise_sum_rounds_less():
    terms = list(np.float32(1 + np.random.default_rng(0).random((256, 1000))))
    exact = np.sum(np.float64(terms), axis=0)
    one_by_one = np.float32(0)
    for term in terms:
        one_by_one = one_by_one + term
    error = np.abs(np.asarray(pairwise_sum([jnp.asarray(t) for t in terms])) - exact)
    assert np.mean(error) < 0.3 * np.mean(np.abs(one_by_one - exact))
