"""Names, shapes and dtypes are PyTorch's, and every array survives the way there and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.listings import CLASSES, DIGESTS, digest, made_up

from jaxconv._core import tensors
from jaxconv.convert import from_torch, to_torch
from jaxconv.convert.arrays import read, written
from jaxconv.convert.names import LIBRARIES, NETWORKS
from jaxconv.models import Variables
from jaxconv.models.leaves import by_name

FIRST = "mobilenetv2"

EVERY = [(name, library) for name in NETWORKS for library in LIBRARIES]
DISTINCT = [pair for pair in EVERY if "resnet" not in pair[0] or pair[1] == "torchvision"]

LONG = ("resnet34", "resnet50")
"""ResNet-18 has the same table, with other numbers."""

each_table = pytest.mark.parametrize(
    ("name", "library"),
    [
        pytest.param(*pair, marks=pytest.mark.thorough if pair[0] in LONG else ())
        for pair in DISTINCT
    ],
)


def assert_identical(got, wanted):
    """Assert that both have the same names, shapes, dtypes and bits."""
    assert got.keys() == wanted.keys()
    for name in wanted:
        a, b = np.asarray(got[name]), np.asarray(wanted[name])
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name


@pytest.mark.thorough
@each_table
def test_there_and_back(name, library):
    made = made_up(name)
    theirs = to_torch(name, made, library)
    assert digest(theirs) == DIGESTS[name, library]
    back = from_torch(name, theirs)
    assert jax.tree.structure(back) == jax.tree.structure(made)
    assert_identical(by_name(back), by_name(made))
    assert_identical(to_torch(name, back, library), theirs)


def test_resnets_have_one_table():
    for name, library in {*EVERY} - {*DISTINCT}:
        assert NETWORKS[name][library] is NETWORKS[name]["torchvision"]
        assert DIGESTS[name, library] == DIGESTS[name, "torchvision"]


@each_table
def test_every_layer_has_one_name_there(name, library):
    names = NETWORKS[name][library]
    assert len({*names.values()}) == len(names)
    layers = {key.rpartition(".")[0].removeprefix("state/") for key in by_name(made_up(name))}
    assert {key.removesuffix(".scale") for key in names} == layers


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes_are_kept(dtype, tmp_path):
    made = made_up(FIRST, jnp.dtype(dtype))
    theirs = to_torch(FIRST, made, "timm")
    assert {str(leaf.dtype) for leaf in theirs.values()} == {dtype, "int64"}
    tensors.write(tmp_path / "timm.safetensors", theirs)
    there = tensors.read(tmp_path / "timm.safetensors")
    assert_identical(there, theirs)
    assert_identical(read(FIRST, there, "").leaves, by_name(made))


def test_channels_and_classes_are_read_off():
    made = made_up(FIRST, channels=1, classes=3)
    found = read(FIRST, to_torch(FIRST, made), "")
    assert (found.source, found.classes) == ("torchvision", 3)
    assert found.like.params["stem.conv"]["w"].shape == (3, 3, 1, 32)


def test_gradients_have_names_too():
    params, state = made_up(FIRST)
    gradients = jax.tree.map(lambda leaf: 2 * np.asarray(leaf), params)
    theirs = to_torch(FIRST, Variables(gradients, state))
    np.testing.assert_array_equal(
        theirs["classifier.1.weight"], 2 * np.asarray(params["classifier"]["w"]).T
    )


def test_where_the_numbers_go():
    params, state = made_up("convnext-tiny")
    theirs = to_torch("convnext-tiny", Variables(params, state))
    kernel = np.asarray(params["stem.conv"]["w"])
    assert theirs["features.0.0.weight"][5, 2, 1, 3] == kernel[1, 3, 2, 5]
    scale = np.asarray(params["stage2.1.layer_scale"]["scale"])
    assert theirs["features.3.1.layer_scale"][7, 0, 0] == scale[7]
    dense = np.asarray(params["stage1.0.dense1"]["w"])
    assert theirs["features.1.0.block.3.weight"][300, 2] == dense[2, 300]


def test_files_that_count_no_batches():
    """PyTorch has counted them since its version 0.4.1; older files have no counts at all."""
    theirs = to_torch(FIRST, made_up(FIRST))
    old = {name: leaf for name, leaf in theirs.items() if "batches" not in name}
    _, state = from_torch(FIRST, old)
    assert state["stem.norm"]["batches"] == 0
    assert to_torch(FIRST, from_torch(FIRST, old)).keys() == theirs.keys()


def test_library_names_are_recognized():
    for library in LIBRARIES:
        theirs = to_torch(FIRST, made_up(FIRST), library)
        found = read(FIRST, theirs, "")
        assert found.source == library
        assert_identical(written(FIRST, found, library), theirs)
        assert found.classes == CLASSES
