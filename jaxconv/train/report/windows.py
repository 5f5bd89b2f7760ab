"""Links from the layers with windows to the page on which every product of their gradient shows."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import jax
import numpy as np
from jax import Array

import jaxconv
from jaxconv._core.files import write_text
from jaxconv._core.types import Function, Json, Options
from jaxconv.explain import page, terms
from jaxconv.explain.shown import LARGEST, geometry
from jaxconv.models import Params, Variables, find
from jaxconv.models.leaves import named
from jaxconv.train.config import Config
from jaxconv.train.report.markup import text

PAGE = "gradient.html"
"""The page, in the output folder."""
WINDOWED = ("conv", "max_pool", "avg_pool")
_NOT_SHOWN = {"x", "w", "b", "layout", "groups"}
"""The arguments that the page does not need: it shows one channel."""


def windows(
    config: Config, variables: Variables, image_shape: tuple[int, ...], folder: Path
) -> str:
    """Return a list of the layers with windows, and write the page that it links to.

    Layers that compute alike are listed once. The page shows one of their channels, of pictures of
    at most 40×40; convolutions with another border than zeros are left out.
    """
    found: dict[str, tuple[Json, list[str]]] = {}
    for name, op, sizes in _calls(config, variables, image_shape):
        try:
            told = geometry(terms(op, of="y[0,0]", **sizes))
        except ValueError:  # the page cannot show this layer
            continue
        found.setdefault(address(told), (told, []))[1].append(name)
    if not found:
        return "<p>No layer has windows that the page can show.</p>"
    write_text(folder / PAGE, page(next(iter(found.values()))[0]))
    items = [
        f'<li><a href="{PAGE}#{text(address)}">{_words(told)}</a>: {text(", ".join(names))}</li>'
        for address, (told, names) in found.items()
    ]
    return (
        "<p>Point at a number of a layer, and all that it is computed from lights up, forward and"
        f" backward. Layers of more than {LARGEST}×{LARGEST} are left out.</p><ul>"
        + "\n".join(items)
        + "</ul>"
    )


Calls = list[tuple[str, str, Options]]


def _calls(config: Config, variables: Variables, image_shape: tuple[int, ...]) -> Calls:
    """Return name, op and sizes of each layer with windows over two axes, in their order."""
    calls: Calls = []

    def apply(params: Params, x: Array) -> Array:
        names = {id(leaf): name.rpartition(".")[0] or name for name, leaf in named(params)}
        ops = SimpleNamespace(**{name: getattr(jaxconv, name) for name in jaxconv.__all__})
        for op in WINDOWED:
            setattr(ops, op, _recorded(op, names, calls))
        model = find(config.model)
        return model.apply(params, variables.state, x, train=False, key=None, ops=ops)[0]

    jax.eval_shape(apply, variables.params, jax.ShapeDtypeStruct((1, *image_shape), np.float32))
    return calls


def _recorded(op: str, names: dict[int, str], calls: Calls) -> Function:
    """Return an op that also records with which sizes it is called."""
    function = getattr(jaxconv, op)
    signature = inspect.signature(function)

    def call(*args: object, **options: object) -> object:
        given = signature.bind(*args, **options).arguments
        is_first = given.get("layout") == "channels_first"
        size = given["x"].shape[2:] if is_first else given["x"].shape[1:-1]
        if len(size) == 2:
            sizes = {name: given[name] for name in given.keys() - _NOT_SHOWN} | {"input": size}
            name = op.replace("_", " ")
            if op == "conv":
                w = given["w"]
                sizes["kernel"] = w.shape[2:] if is_first else w.shape[:2]
                name = names.get(id(w), name)
            calls.append((name, op, sizes))
        return function(*args, **options)

    return call


def address(told: Json) -> str:
    """Return the settings of a layer as the page reads them from its address."""
    parts = {"op": told["op"]}
    for name in ("input", "kernel", "stride", "dilation"):
        parts[name] = ",".join(map(str, told[name]))
    parts["padding"] = ",".join(str(n) for pair in told["padding"] for n in pair)
    if told["flip"]:
        parts["flip"] = "1"
    if told.get("ties", "first") != "first":
        parts["ties"] = told["ties"]
    if not told.get("count_include_pad", True):
        parts["count_include_pad"] = "0"
    return urlencode(parts, safe=",")


def _words(told: Json) -> str:
    """Return a layer in words: "conv 3×3, stride 2, of 28×28"."""
    kernel, size = ("×".join(map(str, told[name])) for name in ("kernel", "input"))
    step = told["stride"][0]
    stride = f", stride {step}" if told["op"] == "conv" and step > 1 else ""
    return f"{told['op'].replace('_', ' ')} {kernel}{stride}, of {size}"
