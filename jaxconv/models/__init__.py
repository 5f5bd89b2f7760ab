"""Networks: each is a pair of pure functions, and `MODELS` has them by name.

    model = MODELS["lenet"]
    params = model.init(key, image_shape=(28, 28, 1), classes=10)
    logits = model.apply(params, x)                          # hand-written gradients
    logits = model.apply(params, x, ops=jaxconv.reference)   # autodiff's

Images are (N, H, W, C), and parameters are nested dictionaries of arrays, {"conv1": {"w": …,
"b": …}, …}, so that a layer is called as `ops.conv(x, **params["conv1"])`. `ops` switches every
gradient of the network, and `observe(name, value)` gets each layer's output, in order. Both are
static.
"""

from jaxconv.models.model import Model, Params
from jaxconv.models.plain import convnet, demystified, lenet, plain

MODELS = {"convnet": convnet, "lenet": lenet, "demystified": demystified}

__all__ = ["MODELS", "Model", "Params", "convnet", "demystified", "lenet", "plain"]
