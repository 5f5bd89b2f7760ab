"""Costs beside the verdict."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check import check_rule
from jaxconv.check.costs import compared_costs, costs_of


@jax.custom_vjp
def square(x):
    return x * x


square.defvjp(lambda x: (x * x, x), lambda x, dy: (2 * x * dy,))


def test_a_rule_that_saves_its_argument_keeps_that_many_bytes():
    costs = costs_of(square, (np.ones((5, 8)),))
    assert costs.residual_bytes == 5 * 8 * 8
    assert costs.flops is None or costs.flops >= 2 * 40
    assert costs.bytes_accessed is None or costs.bytes_accessed >= 3 * 320


def test_rule_and_reference_stand_beside_the_verdict():
    args = (jnp.linspace(-1.0, 1.0, 6),)
    report = check_rule(square, args, jnp.square, transforms=(), costs=True)
    assert report.ok
    assert list(report.costs) == ["rule", "reference"]
    assert "rule: 48 residual bytes" in str(report)
    assert check_rule(square, args, jnp.square, transforms=()).costs == {}


def test_without_a_reference_there_is_one_row():
    assert list(compared_costs(square, None, (np.ones(3),))) == ["rule"]


def test_labels_have_no_gradient_and_cost_nothing_extra():
    def picked(x, labels):
        return x[labels], labels

    assert costs_of(picked, (np.ones(4), np.array([0, 2]))).residual_bytes >= 0
