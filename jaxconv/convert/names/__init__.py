"""The names of layers, by network and by library; each table serves both directions.

table.py                               how a table is written
resnet.py, mobilenet.py, convnext.py   the tables
"""

from collections.abc import Mapping
from typing import Literal, get_args

from jaxconv.convert.names import convnext, mobilenet, resnet
from jaxconv.convert.names.table import Names

Library = Literal["torchvision", "timm"]
LIBRARIES: tuple[Library, ...] = get_args(Library)

NETWORKS: Mapping[str, Mapping[str, Names]] = {
    "resnet18": {"torchvision": resnet.RESNET18, "timm": resnet.RESNET18},
    "resnet34": {"torchvision": resnet.RESNET34, "timm": resnet.RESNET34},
    "resnet50": {"torchvision": resnet.RESNET50, "timm": resnet.RESNET50},
    "mobilenetv2": {"torchvision": mobilenet.TORCHVISION, "timm": mobilenet.TIMM},
    "convnext-tiny": {"torchvision": convnext.TORCHVISION, "timm": convnext.TIMM},
}

__all__ = ["LIBRARIES", "NETWORKS", "Library", "Names"]
