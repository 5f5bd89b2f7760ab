"""Networks of torchvision and timm with random numbers everywhere, and what they compute."""

import importlib
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch installed")

from jaxconv.convert.names import NETWORKS  # noqa: E402
from jaxconv.models import MODELS, convnext, mobilenet_v2  # noqa: E402

CLASSES = 7

OURS = {
    **{name: MODELS[name] for name in NETWORKS if "resnet" in name},
    "mobilenetv2": mobilenet_v2(dropout=0),
    "convnext-tiny": convnext((3, 3, 9, 3), (96, 192, 384, 768), drop_path=0),
}
"""Our networks, which drop nothing at random: PyTorch would drop something else."""

TORCHVISION = {
    "resnet18": ("resnet18", {}),
    "resnet34": ("resnet34", {}),
    "resnet50": ("resnet50", {}),
    "mobilenetv2": ("mobilenet_v2", {"dropout": 0.0}),
    "convnext-tiny": ("convnext_tiny", {"stochastic_depth_prob": 0.0}),
}
"""The functions of torchvision, and what makes them drop nothing."""

TIMM = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "mobilenetv2": "mobilenetv2_100",
    "convnext-tiny": "convnext_tiny",
}


@cache
def library(name):
    """Import torchvision or timm, which imports torchvision.

    The wheels of torchvision on PyPI are made for a torch with CUDA. Beside one without it, the
    import stops at operators that are not there; the networks need none of them, so that their
    signatures suffice.
    """
    pytest.importorskip(name, reason=f"agreement with {name} needs it installed", exc_type=ImportError)
    return importlib.import_module(name)


def _operators():
    defined = torch.library.Library("torchvision", "DEF")
    for op in ("nms", "qnms"):
        defined.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return defined


def network(source, name, dtype=torch.float32, seed=0):
    """A network of a library whose parameters and running averages are all random."""
    torch.manual_seed(seed)
    if source == "torchvision":
        function, options = TORCHVISION[name]
        made = getattr(library(source).models, function)(num_classes=CLASSES, **options)
    else:
        made = library(source).create_model(TIMM[name], num_classes=CLASSES)
    made = made.to(dtype)
    for key, tensor in made.state_dict().items():
        _randomize(key, tensor)
    return made


def _randomize(key, tensor):
    """Change an array in place; kernels are random already, but ConvNeXt's are tiny."""
    if key.endswith("num_batches_tracked"):
        tensor.fill_(17)
    elif tensor.ndim in (2, 4):
        torch.nn.init.kaiming_normal_(tensor)
    elif key.endswith("running_var"):
        tensor.uniform_(0.5, 2)
    elif key.endswith(("layer_scale", "gamma", "weight")):
        tensor.uniform_(0.5, 1.5)
    else:
        tensor.normal_(std=0.2)


def arrays(leaves):
    """The numbers of tensors by name, as they are now."""
    return {name: np.array(leaf.detach().numpy()) for name, leaf in leaves.items()}
