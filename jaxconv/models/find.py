"""A network by its name, or one of your own."""

import importlib
import inspect
import os
import sys
from typing import Any

from jaxconv.models.model import Model
from jaxconv.models.named import MODELS


def find(name: str) -> Model:
    """Return the network of this name, or the object NAME of a module for "MODULE:NAME".

    The working folder is searched for the module, too.

    Raises:
        ValueError: there is no such network, or it has no functions `init` and `apply`.
    """
    if name in MODELS:
        return MODELS[name]
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(
            f"there is no network {name!r}: it must be one of {', '.join(MODELS)}, or module:name"
        )
    network = _imported(module, attribute)
    for function in ("init", "apply"):
        if not callable(getattr(network, function, None)):
            raise ValueError(f"the network {name} has no function {function}")
    return Model(network.init, network.apply)


def _imported(module: str, attribute: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that it needs
        raise ValueError(
            f"the network {module}:{attribute}: there is no module {module}, neither in the"
            " working folder nor installed"
        ) from None
    if not hasattr(imported, attribute):
        raise ValueError(f"the network {module}:{attribute}: the module has nothing of this name")
    return getattr(imported, attribute)


def observes(model: Model) -> bool:
    """Return whether the network tells the outputs of its layers to a function `observe`."""
    return "observe" in inspect.signature(model.apply).parameters
