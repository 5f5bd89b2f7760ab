"""The functions of other libraries: `by_hand` gives the gradients that they have without it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference
from jaxconv.bench import by_hand
from jaxconv.bench.by_hand import FUNCTIONS, Written

# Small ones of the same kinds, which compile faster.
SMALL = {
    "Flax ResNet-18-like": replace(
        FUNCTIONS["Flax ResNet-18-like"],
        make=by_hand._flax("Residual", (20, 20, 3), width=4), batch=(2, 20, 20, 3),
    ),
    "Flax U-Net-like": replace(
        FUNCTIONS["Flax U-Net-like"],
        make=by_hand._flax("UNet", (8, 8, 3), width=4, levels=2), batch=(2, 8, 8, 3),
    ),
    "Flax separable": replace(FUNCTIONS["Flax separable"], batch=(2, 8, 8, 3)),
    "Flax Conformer-like": replace(
        FUNCTIONS["Flax Conformer-like"],
        make=by_hand._flax("Conformer", (40, 8), layers=1), batch=(2, 40, 8),
    ),
    "Equinox, mapped": replace(FUNCTIONS["Equinox, mapped"], batch=(2, 3, 8, 8)),
    "jax #13800 depthwise chain": Written(partial(by_hand._chain, 4, 2), (2, 4, 9)),
    "jax #26266 dilated depthwise": Written(partial(by_hand._dilated, 4, 5, 3), (2, 4, 20)),
    "jax #23783 transposed 1-D": Written(partial(by_hand._transposed, 6, 4, 2), (2, 6, 9)),
    "jax #31662 transposed 3-D": replace(
        FUNCTIONS["jax #31662 transposed 3-D"],
        make=partial(by_hand._transposed_3d, 3), batch=(1, 3, 4, 5, 3),
    ),
}  # fmt: skip


def test_all_are_tried():
    assert set(SMALL) == set(FUNCTIONS)


@pytest.mark.thorough
@pytest.mark.parametrize("name", SMALL)
def test_gradients_have_the_shapes_of_the_parameters(name):
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        function, args = SMALL[name].on_jax(jaxconv)["step"]
        gradient = jax.eval_shape(function, *args)
    assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, args[0])


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in SMALL if "#" in name or "separable" in name])
def test_gradients_are_those_of_the_function(name):
    tolerance = 1e-2 if SMALL[name].dtype == "bfloat16" else 2e-4
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        found = []
        for ops in (jaxconv, jaxconv.reference):
            function, args = SMALL[name].on_jax(ops)["step"]
            found.append(jax.jit(function)(*args))
    scale = max(float(np.abs(np.asarray(leaf, float)).max()) for leaf in jax.tree.leaves(found[1]))
    got, want = (jax.tree.map(lambda leaf: np.asarray(leaf, float) / scale, tree) for tree in found)
    jax.tree.map(partial(np.testing.assert_allclose, atol=tolerance), got, want)


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name, one in FUNCTIONS.items() if one.torch])
def test_pytorch_has_as_many_parameters(name):
    pytest.importorskip("torch")
    with jax.enable_x64(False):
        one = FUNCTIONS[name]
        _, params = one.make()
        small = replace(one, batch=(2, *one.batch[1:]))
        gradient = small.on_torch("cpu")["step"]()
    sizes = sorted(leaf.size for leaf in jax.tree.leaves(params))
    assert sorted(g.numel() for g in gradient) == sizes


def test_more_batches_and_work():
    one = FUNCTIONS["jax #13800 depthwise chain"]
    assert one.of_batches(3).batch == (24, 64, 512)
    with jax.enable_x64(False):
        works = one.work()["step"]
    assert [work.multiply_adds for work in works] == [3 * 8 * 512 * 64 * 5] * 12
