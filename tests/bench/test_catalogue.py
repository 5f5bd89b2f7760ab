"""The ops of the catalogue as subjects of the benchmark."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import normal

import jaxconv
from jaxconv._core.work import Work
from jaxconv.bench.catalogue import OPS, Catalogued
from jaxconv.check.catalogue import CATALOGUE, Record, Sample


@pytest.mark.parametrize("name", OPS)
def test_every_op_can_be_timed(name):
    function, (dy, *args) = OPS[name].of_batches(2).on_jax(jaxconv)["both"]
    y, gradients = jax.eval_shape(function, dy, *args)
    assert len(gradients) == len(CATALOGUE[name].large().arrays)
    for array, gradient in zip(args, gradients, strict=False):
        assert (gradient.shape, gradient.dtype) == (array.shape, jnp.float32)
    assert jax.tree.structure(y) == jax.tree.structure(dy)


def of(**sample):
    names = tuple(sample["arrays"])[:1]
    large = Sample(**sample)
    return Catalogued(
        Record(name="nll_loss", sample=lambda seed: large, large=lambda: large, by_example=names)
    )


def test_examples_are_repeated_and_what_belongs_to_them():
    labels = np.array([0, 2, 1, 1])
    fixed = {
        "labels": labels,
        "key": jax.random.key(0),
        "keys": jax.random.split(jax.random.key(0), 4),
    }
    subject = of(arrays={"x": normal(0, (4, 3)), "weights": normal(1, (4,))}, fixed=fixed)
    x, weights, *others = subject.of_batches(3)._args
    assert (x.shape, x.dtype, weights.shape) == ((12, 3), jnp.float32, (4,))
    assert others[0].tolist() == 3 * labels.tolist()
    assert [key.shape for key in others[1:]] == [(), (4,)]


def test_labels_have_no_gradient_and_are_no_constants():
    fixed = {"labels": np.array([0, 2, 1, 1])}
    subject = of(
        arrays={"log_probs": normal(0, (4, 3))}, fixed=fixed, options={"reduction": "none"}
    )
    function, (dy, log_probs, labels) = subject.on_jax(jaxconv)["both"]
    y, (gradient,) = function(dy, log_probs, labels)
    assert y.shape == dy.shape == (4,)
    assert np.flatnonzero(gradient).tolist() == [0, 5, 7, 10]
    assert subject.on_torch("cpu") == {}


def test_work():
    fixed = {"labels": np.array([0, 2, 1, 1], np.int32)}
    subject = of(
        arrays={"log_probs": normal(0, (4, 3))}, fixed=fixed, options={"reduction": "none"}
    )
    assert subject.work()["both"] == [Work(0, 2 * 4 * (4 * 3 + 4 + 4))]
    assert OPS["conv"].work()["both"][0].multiply_adds > 0
    assert subject.residual_bytes(jaxconv) > 0
