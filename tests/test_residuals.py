"""What rules keep: never more than autodiff, and only what is wanted, whoever wants it."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from rules import assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.residuals import compared, table

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("record", CATALOGUE.values(), ids=CATALOGUE)
def test_no_more_bytes_than_autodiff(record):
    ours, autodiff = compared(record)
    assert ours <= autodiff


def test_the_table_of_the_docs_is_what_is_measured():
    page = (ROOT / "docs" / "residuals.md").read_text()
    if jax.__version__ not in page:
        version = re.search(r"JAX ([\d.]+\d)", page)[1]
        pytest.skip(
            f"the table was measured with JAX {version}, whose autodiff may keep other arrays"
        )
    assert table() in page


SHAPES = {  # (x, w) such that y has the shape of x
    "conv": ((2, 6, 5, 4), (3, 3, 4, 4)),
    "conv_transpose": ((2, 6, 5, 4), (3, 3, 4, 4)),
    "dense": ((3, 4), (4, 4)),
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_one_layer_in_every_role(name, jit):
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
            gradients.append((jax.jit(gradient) if jit else gradient)(params, x))
        assert_trees_close(*gradients)
