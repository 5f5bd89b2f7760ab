"""What does not fit is refused: each array by the name that it has in the file."""

import re

import numpy as np
import pytest
from convert.listings import made_up

from jaxconv.convert import from_torch, to_torch
from jaxconv.models import MODELS, Variables

NAME = "resnet18"


@pytest.fixture(scope="module")
def theirs():
    return to_torch(NAME, made_up(NAME))


def refusal(leaves, name=NAME):
    with pytest.raises(ValueError, match="from_torch: ") as caught:
        from_torch(name, leaves)
    return str(caught.value)


BEGINNING = "from_torch: the dictionary has torchvision's names, but does not fit resnet18: "


def test_every_wrong_array_is_named(theirs):
    wrong = theirs | {
        "conv1.weight": np.zeros((64, 3, 5, 5), np.float32),
        "layer1.0.bn1.num_batches_tracked": np.array(2.0),
        "layer1.0.bn2.num_batches_tracked": np.array(2**31),
        "layer2.0.bn1.weight": np.zeros(128, np.int32),
        "fc.scale": np.zeros(7, np.float32),
    }
    del wrong["bn1.bias"]
    assert refusal(wrong) == BEGINNING + (
        "bn1.bias is missing; fc.scale is unknown;"
        " conv1.weight should be [64, 3, 7, 7], but is [64, 3, 5, 5];"
        " layer2.0.bn1.weight should be floats, but is int32;"
        " layer1.0.bn1.num_batches_tracked should be integers, but is float64;"
        " layer1.0.bn2.num_batches_tracked should be at most 2147483647, but is 2147483648"
    )


def test_ten_are_named_and_the_others_counted(theirs):
    wrong = {name: leaf for name, leaf in theirs.items() if not name.startswith("layer4")}
    message = refusal(wrong)
    assert message.count(" is missing") == 10
    assert message.endswith(f"; and {len(theirs) - len(wrong) - 10} more")


def test_some_counts_are_missing(theirs):
    del (wrong := dict(theirs))["bn1.num_batches_tracked"]
    assert refusal(wrong) == f"{BEGINNING}bn1.num_batches_tracked is missing"


def test_a_last_layer_that_is_not_one(theirs):
    wrong = theirs | {"fc.weight": np.zeros((7, 500), np.float32)}
    assert refusal(wrong) == f"{BEGINNING}fc.weight should be [7, 512], but is [7, 500]"
    wrong = theirs | {"fc.bias": np.zeros(8, np.float32)}
    assert refusal(wrong) == f"{BEGINNING}fc.weight should be [8, 512], but is [7, 512]"
    wrong = {name: leaf for name, leaf in theirs.items() if not name.startswith("fc")}
    assert refusal(wrong) == f"{BEGINNING}fc.bias is missing; fc.weight is missing"


def test_another_network(theirs):
    assert "layer1.0.conv3.weight is missing" in refusal(theirs, "resnet50")
    assert refusal({"a": np.zeros(1), "b": np.zeros(2)}) == (
        "from_torch: the dictionary has none of the names of resnet18, neither our own,"
        " torchvision's, timm's: its arrays are a, b"
    )
    assert refusal({}).endswith("its arrays are none")


def test_variables_of_another_network():
    params, state = made_up(NAME)
    params = params | {"fc": {"w": params["fc"]["w"]}}
    with pytest.raises(ValueError, match=r"to_torch: .* our own names, .* fc\.b is missing"):
        to_torch(NAME, Variables(params, state))


@pytest.mark.parametrize("name", [*sorted({"lenet", "vgg"} & MODELS.keys()), "resnet152"])
def test_networks_without_a_counterpart(name):
    said = re.escape(
        f"the network {name!r} has no counterpart in torchvision or timm; these have one:"
        " resnet18, resnet34, resnet50, mobilenetv2, convnext-tiny"
    )
    with pytest.raises(ValueError, match=said):
        from_torch(name, {})
    with pytest.raises(ValueError, match=said):
        to_torch(name, Variables({}, {}))
