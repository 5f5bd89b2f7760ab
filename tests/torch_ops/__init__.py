"""The same ops in PyTorch, for the samples of the catalogue.

Each family has `TORCH`: by op, a function from a sample to a function of tensors, one for each
of the sample's arrays, that returns what the op returns; or to None where PyTorch cannot take
the sample. And `WITHOUT`: by op, why PyTorch has no counterpart.
"""

import importlib
import pkgutil

TORCH, WITHOUT = {}, {}
for _module in pkgutil.iter_modules(__path__):
    _family = importlib.import_module(f"{__name__}.{_module.name}")
    TORCH |= getattr(_family, "TORCH", {})
    WITHOUT |= getattr(_family, "WITHOUT", {})
