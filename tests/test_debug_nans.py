"""Every op and its gradient with `jax_debug_nans`, step by step: a NaN on the way raises.

Somebody who looks for the first NaN of a training run must not be stopped by one that is computed
and then dropped, like that of an ignored label.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import cotangent_of

import jaxconv
from jaxconv.check.catalogue import CATALOGUE

SAMPLES = 2


@pytest.mark.thorough
@pytest.mark.parametrize("name", CATALOGUE)
def test_no_nan_on_the_way(name):
    record = CATALOGUE[name]
    for number in range(SAMPLES):
        sample = record.sample(number)
        arrays = tuple(map(jnp.asarray, sample.arrays.values()))
        dy = cotangent_of(record.op, sample, number)
        with jax.disable_jit(), jax.debug_nans(True):
            _, pull = jax.vjp(sample.bind(record.op), *arrays)
            pull(dy)


@pytest.mark.parametrize("options", [{}, {"weights": jnp.ones(3)}, {"reduction": "none"}])
@pytest.mark.parametrize("loss", [jaxconv.softmax_cross_entropy, jaxconv.nll_loss])
def test_an_ignored_label_makes_no_nan(loss, options):
    scores, labels = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])), jnp.array([0, -1])

    def total(scores):
        return loss(scores, labels, ignore_index=-1, **options).sum()

    with jax.debug_nans(True), jax.disable_jit():
        gradient = jax.grad(total)(scores)
    np.testing.assert_array_equal(gradient[1], 0)


@pytest.mark.parametrize("loss", [jaxconv.softmax_cross_entropy, jaxconv.nll_loss])
def test_a_label_that_is_no_class_is_found(loss):
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        jax.grad(loss)(jnp.zeros((2, 3)), jnp.array([0, 3]))
