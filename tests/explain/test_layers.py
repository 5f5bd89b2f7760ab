"""Dense layers, batch norm and softmax cross-entropy: the sums are what the rules compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv
from jaxconv.explain import all_terms, terms


def compare(op, call, arrays, dy, told):
    """Evaluate every element of y and of the gradients, and compare with the rule."""
    y, pullback = jax.vjp(lambda arrays: call(**arrays), arrays)
    wanted = {"y": y, **{f"d{name}": gradient for name, gradient in pullback(dy)[0].items()}}
    numbers = {**arrays, "dy": dy}
    for name, want in wanted.items():
        got = [each.evaluate(numbers) for each in all_terms(op, of=name, **told)]
        assert_close(np.reshape(got, want.shape), want, f"{op} {name}")


@pytest.mark.parametrize("batch", [1, 3])
def test_dense(batch):
    arrays = {"x": normal(0, (batch, 4)), "w": normal(1, (4, 2)), "b": normal(2, (2,))}
    told = {"inputs": 4, "outputs": 2, "batch": batch, "bias": True}
    compare("dense", jaxconv.dense, arrays, normal(3, (batch, 2)), told)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(), (3,), (2, 3)])
def test_batch_norm(size, layout):
    shape = (2, *size, 3) if layout == "channels_last" else (2, 3, *size)
    arrays = {"x": normal(0, shape), "scale": normal(1, (3,)), "bias": normal(2, (3,))}

    def call(**arrays):
        return jaxconv.batch_norm(**arrays, eps=0.1, layout=layout)[0]

    told = {"batch": 2, "channels": 3, "eps": 0.1, "layout": layout}
    told |= {"input": size} if size else {}
    compare("batch_norm", call, arrays, normal(3, shape), told)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_softmax_cross_entropy(reduction):
    z, q = normal(0, (3, 4)), np.asarray(jax.nn.softmax(normal(1, (3, 4))))

    def call(logits):
        return jaxconv.softmax_cross_entropy(logits, jnp.asarray(q), reduction=reduction)

    y, pullback = jax.vjp(call, z)
    dloss = normal(2, y.shape)
    (want,) = pullback(dloss)
    numbers = {"logits": z, "labels": q, "dloss": dloss}
    told = {"batch": 3, "classes": 4, "reduction": reduction}
    got = [each.evaluate(numbers) for each in all_terms("softmax_cross_entropy", **told)]
    assert_close(np.reshape(got, z.shape), want)


def test_the_three_paths_of_a_batch_norm():
    dx = terms("batch_norm", of="dx[1]", batch=3)
    assert str(dx).splitlines()[:3] == [
        "dx[1] = scale·r·dy[1]   (directly)",
        "    − 1/3·scale·r·(dy[0] + dy[1] + dy[2])   (through the mean)",
        "    − 1/3·scale·r·x̂[1]·(dy[0]·x̂[0] + dy[1]·x̂[1] + dy[2]·x̂[2])   (through the variance)",
    ]
    assert dx.latex().count(r"\underbrace") == 3
    assert r"\hat{X}_{1}" in terms("batch_norm", of="dX[1]", batch=3, names="X,Z").latex()
    numbers = dx.with_numbers(x=[1, 2, 3], dy=[1, 0, 1], scale=2)
    assert numbers.splitlines()[-1] == "= -1.63298"
    assert len(dx.terms) == 7


def test_the_choices_of_a_max_pool_are_explained():
    pool = {"input": 4, "window": 2, "stride": 1}
    first = terms("max_pool", of="dx[1]", **pool)
    assert str(first).splitlines() == [
        "dx[1] = dy[0]·[arg max y[0] = x[1]] + dy[1]·[arg max y[1] = x[1]]",
        "  where [arg max y[…] = x[…]] is 1 if x[…] is the maximum and the first of equal ones in"
        " row-major order, else 0",
    ]
    split = terms("min_pool", of="dx[1]", ties="split", **pool)
    assert str(split).startswith("dx[1] = dy[0]·[x[1] = y[0]]/ties(y[0]) + dy[1]·[x[1] = y[1]]/")
    x, dy = [2, 1, 1, 1], [3, 5, 7]
    assert split.evaluate(x=x, dy=dy) == 3 + 5 / 2
    won = terms("min_pool", of="dx[1]", ties="split", arrays={"x": x}, **pool)
    assert str(won) == "dx[1] = dy[0] + 1/2·dy[1]"
    assert won.evaluate(dy=dy) == 3 + 5 / 2


def test_a_nan_wins():
    pool = {"input": 3, "window": 3, "arrays": {"x": [1, np.nan, np.nan]}}
    shares = [terms("max_pool", of=f"dx[{i}]", **pool).evaluate(dy=1) for i in range(3)]
    assert shares == [0, 1, 0]
    assert np.isnan(terms("max_pool", of="y[0]", **pool).evaluate(x=[1, np.nan, 2]))


def test_the_powers_of_an_lp_pool():
    pool = {"input": 2, "window": 2}
    assert str(terms("lp_pool", of="y[0]", p=2, **pool)) == "y[0] = (|x[0]|^2 + |x[1]|^2)^(1/2)"
    assert str(terms("lp_pool", of="dx[1]", p=2, **pool)) == "dx[1] = x[1]·dy[0]·y[0]^(-1)"
    assert str(terms("lp_pool", of="dx[1]", p=1, **pool)) == "dx[1] = sign(x[1])·dy[0]"
