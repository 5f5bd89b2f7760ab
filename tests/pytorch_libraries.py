"""torchvision and timm, if they are installed."""

import importlib
import importlib.util

import pytest

DEFINED = []
"""Operators are defined for as long as this list keeps them."""


def library(name):
    """torchvision or timm, which imports torchvision, too.

    The wheels of torchvision on PyPI are made for a torch with CUDA. Beside one without it, the
    import stops at operators that are missing. Nothing here uses them: to be declared is enough.
    """
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"agreement with {name} needs {name} installed")
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    torch = importlib.import_module("torch")
    DEFINED.append(torch.library.Library("torchvision", "DEF"))
    for op in ("nms", "qnms"):
        DEFINED[-1].define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(name)
