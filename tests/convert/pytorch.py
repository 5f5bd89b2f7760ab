"""Networks of torchvision and timm with random numbers everywhere."""

import numpy as np
import pytest
from pytorch_libraries import library

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch installed")

CLASSES = 7

TORCHVISION = {
    "resnet18": ("resnet18", {}),
    "resnet34": ("resnet34", {}),
    "resnet50": ("resnet50", {}),
    "mobilenetv2": ("mobilenet_v2", {"dropout": 0.0}),
    "convnext-tiny": ("convnext_tiny", {"stochastic_depth_prob": 0.0}),
}
"""The functions of torchvision, and what makes their networks drop nothing."""

TIMM = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "mobilenetv2": "mobilenetv2_100",
    "convnext-tiny": "convnext_tiny",
}


def bare(source, name):
    """A network as the library makes it."""
    if source == "timm":
        return library("timm").create_model(TIMM[name], num_classes=CLASSES)
    function, options = TORCHVISION[name]
    return getattr(library("torchvision").models, function)(num_classes=CLASSES, **options)


def network(source, name, dtype, seed=0, *, calm=False):
    """A network whose parameters and running averages are all random.

    In a calm one few ReLUs are near their kinks.
    """
    torch.manual_seed(seed)
    made = bare(source, name).to(dtype)
    for key, tensor in made.state_dict().items():
        _randomize(key, tensor, calm=calm)
    _randomize_averages(made, dtype)
    return made


def _randomize(key, tensor, *, calm):
    if tensor.ndim in (2, 4):
        torch.nn.init.kaiming_normal_(tensor)
    elif key.endswith(("layer_scale", "gamma", "weight")):
        tensor.uniform_(*((0.2, 0.5) if calm else (0.5, 2)))
    elif key.endswith("bias"):
        tensor.normal_(*((1, 0.3) if calm else (0, 0.2)))


def _randomize_averages(made, dtype):
    """Make the running averages those of a random batch, and change them at random."""
    norms = [each for each in made.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        made.train()(torch.randn(4, 3, 64, 64, dtype=dtype))
    for number, norm in enumerate(norms):
        norm.momentum = 0.1
        norm.running_mean += norm.running_var.sqrt() * torch.randn_like(norm.running_mean) / 5
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.5)
        norm.num_batches_tracked.fill_(number)


def arrays(tensors):
    """Copies of tensors by name, as arrays."""
    return {name: np.array(tensor.detach().numpy()) for name, tensor in tensors.items()}
