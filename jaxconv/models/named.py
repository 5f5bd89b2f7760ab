"""All networks by name."""

from jaxconv.models.convnext import convnext_tiny
from jaxconv.models.mobilenet import mobilenetv2
from jaxconv.models.mobilenet_v1 import small_mobilenet
from jaxconv.models.model import Model
from jaxconv.models.plain import convnet, cs231n, demystified, lenet
from jaxconv.models.resnet import resnet18, resnet20, resnet32, resnet34, resnet50
from jaxconv.models.strided import signal, volume
from jaxconv.models.vgg import small_vgg

MODELS: dict[str, Model] = {
    "convnet": convnet,
    "lenet": lenet,
    "demystified": demystified,
    "cs231n": cs231n,
    "vgg": small_vgg,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "mobilenet-small": small_mobilenet,
    "mobilenetv2": mobilenetv2,
    "convnext-tiny": convnext_tiny,
    "signal": signal,
    "volume": volume,
}

SMALL, GREY, LARGE = ((32, 32, 3), 10), ((28, 28, 1), 10), ((224, 224, 3), 1000)
USUAL: dict[str, tuple[tuple[int, ...], int]] = {
    **dict.fromkeys(MODELS, SMALL),
    **dict.fromkeys(("convnet", "lenet", "demystified"), GREY),
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "mobilenetv2", "convnext-tiny"), LARGE),
    "signal": ((256, 1), 10),
    "volume": ((32, 32, 32, 1), 10),
}
"""The shape of the images, and the number of classes, that a network is usually for. Networks take
others, too."""
