"""Networks: each a pair of pure functions, and a dictionary of them by name.

    model = MODELS["lenet"]
    params = model.init(key, image_shape=(28, 28, 1), classes=10)
    logits = model.apply(params, x)                          # hand-written gradients
    logits = model.apply(params, x, ops=jaxconv.reference)   # JAX's

Images are (N, H, W, C), parameters nested dictionaries of arrays, {"conv1": {"w": …, "b": …},
…}, so that a layer is called as `ops.conv(x, **params["conv1"])`. `ops` switches every gradient
of the network; `observe(name, value)` is shown each layer's output, in order. Both are static.
"""

from jaxconv.models.model import Model, Params
from jaxconv.models.plain import convnet, demystified, lenet, plain

MODELS = {"convnet": convnet, "lenet": lenet, "demystified": demystified}

__all__ = ["MODELS", "Model", "Params", "convnet", "demystified", "lenet", "plain"]
