"""What training takes from a file, and what starts new."""

import jax.numpy as jnp
import numpy as np
import pytest
from convert.listings import made_up
from convert.test_arrays import assert_identical
from networks import variables

from jaxconv._core import tensors
from jaxconv.convert import to_torch
from jaxconv.convert.start import start
from jaxconv.models import MODELS, described
from jaxconv.models.leaves import by_name

NAME = "mobilenetv2"


def fresh(classes):
    return variables(MODELS[NAME], seed=9, image_shape=(32, 32, 3), classes=classes)


def started(path, classes):
    found = start(path, NAME, MODELS[NAME], (32, 32, 3), classes)
    return found.said, by_name(found.into(fresh(classes)))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.safetensors"
    tensors.write(path, to_torch(NAME, made_up(NAME)))
    return path


def test_the_same_and_other_classes(path):
    said, got = started(path, 7)
    assert said == f"it starts from 314 of the 314 arrays of {path} (torchvision's names)"
    assert_identical(got, by_name(made_up(NAME)))

    said, got = started(path, 2)
    assert said == (
        f"it starts from 312 of the 314 arrays of {path} (torchvision's names);"
        " new: classifier, for 2 classes instead of 7"
    )
    last = {"classifier.w", "classifier.b"}
    wanted = by_name(made_up(NAME)) | {
        name: leaf for name, leaf in by_name(fresh(2)).items() if name in last
    }
    assert_identical(got, wanted)


def test_other_channels_do_not_fit(path):
    with pytest.raises(
        ValueError, match=r"features.0.0.weight should be \[32, 1, 3, 3\], but is \[32, 3"
    ):
        start(path, NAME, MODELS[NAME], (32, 32, 1), 7)


def own_network(layers, x):
    """Its last layer has another name than those of ours."""
    x = layers.relu(layers.batch_norm("norm", layers.conv("first", x, 4, 3)))
    return layers.logits("says.which", layers.global_avg_pool(x))


OWN = described(own_network)


def own(path, dtype=np.float32):
    """A saved network of one's own, for five classes."""
    made = by_name(variables(OWN, dtype, image_shape=(8, 8, 3), classes=5))
    tensors.write(path, {name: np.asarray(leaf) for name, leaf in made.items()})
    return made


def test_a_network_of_ones_own(tmp_path):
    path = tmp_path / "params.safetensors"
    made = own(path)
    found = start(path, "mine:own", OWN, (8, 8, 3), 4)
    assert found.leaves.keys() == made.keys() - {"says.which.w", "says.which.b"}
    assert found.said == (
        f"it starts from 6 of the 8 arrays of {path} (our own names);"
        " new: says.which, for 4 classes instead of 5"
    )
    with pytest.raises(ValueError, match=r"has none of the names of lenet, neither our own: its"):
        start(path, "lenet", MODELS["lenet"], (8, 8, 3), 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_become_float32(dtype, tmp_path):
    path = tmp_path / "params.safetensors"
    made = own(path, jnp.dtype(dtype))
    like = variables(OWN, image_shape=(8, 8, 3), classes=5)
    got = by_name(start(path, "mine:own", OWN, (8, 8, 3), 5).into(like))
    assert {str(leaf.dtype) for leaf in got.values()} == {"float32", "int32"}
    for name in got:
        np.testing.assert_array_equal(got[name], made[name].astype(got[name].dtype))
