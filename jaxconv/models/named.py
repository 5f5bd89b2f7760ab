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
