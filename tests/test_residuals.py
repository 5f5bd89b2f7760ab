"""What rules keep: never more than autodiff, and only what is wanted, whoever wants it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from rules import assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.costs import residual_bytes
from jaxconv.check.residuals import compared, row, table

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "residuals.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("record", CATALOGUE.values(), ids=CATALOGUE)
def test_no_more_bytes_than_autodiff_and_as_many_as_the_docs_say(record):
    ours, autodiff = compared(record)
    assert ours <= autodiff
    if jax.__version__ not in PAGE:
        pytest.skip("the page is of another JAX, whose autodiff may keep other arrays")
    assert row(record.name, ours, autodiff) in LINES


@pytest.mark.thorough
@pytest.mark.parametrize("record", [r for r in CATALOGUE.values() if r.ways], ids=lambda r: r.name)
def test_no_form_keeps_anything_but_x_and_w(record):
    """Whatever a form copies for itself, nothing of it is left for the backward pass."""
    for number in record.each_form:
        sample = record.sample(number)
        arrays = tuple(jnp.asarray(a) for a in sample.arrays.values())
        assert residual_bytes(sample.bind(record.op), arrays) == sum(a.nbytes for a in arrays)


def test_the_table_of_the_docs_has_every_op_once():
    assert [line.split("`")[1] for line in LINES] == list(CATALOGUE)
    assert table(LINES) in PAGE


SHAPES = {  # (x, w) such that y has the shape of x
    "conv": ((2, 6, 5, 4), (3, 3, 4, 4)),
    "conv_transpose": ((2, 6, 5, 4), (3, 3, 4, 4)),
    "dense": ((3, 4), (4, 4)),
}


@pytest.mark.parametrize("jitted", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_one_layer_in_every_role(name, jitted):
    """Layers of one shape share what jit has traced, but not what is wanted of them.

    The first sees data, which needs no gradient, the second is frozen, the third needs all;
    then the whole network is asked for the gradient of its input instead.
    """
    shape, kernel = SHAPES[name]
    x = normal(0, shape)
    params = [{"w": normal(i, kernel), "b": normal(9 + i, kernel[-1:])} for i in (1, 2, 3)]

    def loss(ops, params, x):
        first, second, third = params
        op = getattr(ops, name)
        h = jnp.sin(op(x, **first))
        h = jnp.sin(op(h, **jax.lax.stop_gradient(second)))
        return jnp.sum(jnp.sin(op(h, **third)))

    for wanted in (0, 1, (0, 1), 1, 0):
        gradients = []
        for ops in (jaxconv, jaxconv.reference):
            gradient = jax.grad(lambda params, x, ops=ops: loss(ops, params, x), wanted)
            gradients.append((jax.jit(gradient) if jitted else gradient)(params, x))
        assert_trees_close(*gradients)
