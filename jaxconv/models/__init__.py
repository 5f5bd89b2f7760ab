"""Networks: each is a pair of pure functions, and `MODELS` has them by name.

    model = MODELS["resnet20"]
    params, state = model.init(key, image_shape=(32, 32, 3), classes=10)
    logits, state = model.apply(params, state, x, train=True)     # hand-written gradients
    logits, _ = model.apply(params, state, x, train=False, ops=jaxconv.reference)  # autodiff's

Images are (N, H, W, C). Parameters are nested dictionaries of arrays, {"conv1": {"w": …, "b": …},
…}, and so is the state, which a pass in training returns changed: the running averages of batch
norm. A network that drops at random needs a `key` in training. `ops` switches every gradient of the
network, and `observe(name, value)` gets each layer's output, in order. `train`, `ops` and `observe`
are static.

model.py      the types
plain.py      networks without state: convolutions, max pooling, dense layers
layers.py     networks that are described once, for `init` and `apply`
convnext.py, mobilenet.py, mobilenet_v1.py, resnet.py, strided.py, vgg.py    networks described so
find.py       a network by its name, or one of your own
leaves.py     the arrays of a network by name
"""

from jaxconv.models.convnext import convnext, convnext_tiny
from jaxconv.models.find import find, observes
from jaxconv.models.layers import Layers, described
from jaxconv.models.mobilenet import mobilenet_v2, mobilenetv2
from jaxconv.models.mobilenet_v1 import mobilenet_v1, small_mobilenet
from jaxconv.models.model import Model, Params, State, Variables
from jaxconv.models.named import MODELS
from jaxconv.models.plain import convnet, cs231n, demystified, lenet, plain
from jaxconv.models.resnet import (
    resnet,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet50,
    small_resnet,
)
from jaxconv.models.strided import signal, strided, volume
from jaxconv.models.vgg import small_vgg, vgg

__all__ = [
    "MODELS",
    "Layers",
    "Model",
    "Params",
    "State",
    "Variables",
    "convnet",
    "convnext",
    "convnext_tiny",
    "cs231n",
    "demystified",
    "described",
    "find",
    "lenet",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenetv2",
    "observes",
    "plain",
    "resnet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "signal",
    "small_mobilenet",
    "small_resnet",
    "small_vgg",
    "strided",
    "vgg",
    "volume",
]
