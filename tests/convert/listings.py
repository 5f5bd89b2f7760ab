"""What PyTorch's `state_dict` of each network lists, and made-up arrays of our networks.

The listings are kept as digests, which test_against_pytorch.py compares with the networks.
"""

import hashlib
from functools import cache

import numpy as np
from networks import variables

from jaxconv.models import MODELS

CLASSES = 7

DIGESTS = {
    ("resnet18", "torchvision"): (122, "23188ea1d1983dc8"),
    ("resnet18", "timm"): (122, "23188ea1d1983dc8"),
    ("resnet34", "torchvision"): (218, "227fd934e43a7436"),
    ("resnet34", "timm"): (218, "227fd934e43a7436"),
    ("resnet50", "torchvision"): (320, "e520b654772f0ee2"),
    ("resnet50", "timm"): (320, "e520b654772f0ee2"),
    ("mobilenetv2", "torchvision"): (314, "9f74cce9d6474fce"),
    ("mobilenetv2", "timm"): (314, "b208b494b0f7342b"),
    ("convnext-tiny", "torchvision"): (182, "8b3f1f542ab0b5d8"),
    ("convnext-tiny", "timm"): (182, "7017380e891dc9ed"),
}
"""Of each network and library: how many arrays there are for seven classes, and the digest."""


def digest(leaves):
    """The number of arrays, and a digest of their names, shapes and dtypes in any order."""
    lines = sorted(f"{name} {leaf.shape} {leaf.dtype}" for name, leaf in leaves.items())
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@cache
def made_up(name, dtype=np.float32, classes=CLASSES, channels=3):
    """Random parameters and state of a network of ours; each number of batches is another."""
    made = variables(MODELS[name], dtype, image_shape=(64, 64, channels), classes=classes)
    for number, layer in enumerate(made.state.values()):
        layer["batches"] = np.int32(10**9 + number)
    return made
