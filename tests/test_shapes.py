"""The shapes in the signatures are those of the arrays, on every sample of the catalogue."""

import inspect
import re
from typing import Annotated, get_args, get_origin, get_type_hints

import jax
import jaxtyping
import numpy as np
import pytest

from jaxconv.check.catalogue import CATALOGUE

SAMPLES = range(16)

each_record = pytest.mark.parametrize(
    "record", [pytest.param(r, id=r.name) for r in CATALOGUE.values()]
)


def declared(hint):
    """The shapes that a type hint allows, which is a Shaped or a union of several and None."""
    if get_origin(hint) is Annotated:
        return list(hint.__metadata__)
    return [shape for part in get_args(hint) for shape in declared(part)]


def hints_of(record):
    """The type hint of each parameter, and those of the outputs."""
    hints = get_type_hints(record.op, include_extras=True)
    y = hints.pop("return")
    return hints, get_args(y) if get_origin(y) is tuple else (y,)


def by_default(shape, allowed, options, which):
    """The shape in the layout that the signature describes, if it is an image or a kernel."""
    numbers = options.get("dimension_numbers")
    if numbers:  # of conv_general_dilated, whose default is channels first
        letters, first = numbers[which], "OI" if which == 1 else "NC"
        order = [*first, *(letter for letter in letters if letter not in first)]
        return tuple(shape[letters.index(letter)] for letter in order)
    if options.get("layout") == "channels_first":
        if allowed.startswith("*window"):
            return (*shape[2:], shape[1], shape[0])
        if allowed.startswith("N "):
            return (shape[0], *shape[2:], shape[1])
    return shape


def fits(shape, hint, options, which):
    """Whether the hint allows the shape, given the sizes that names have got so far."""
    return any(
        isinstance(
            np.empty(by_default(shape, allowed, options, which)),
            jaxtyping.Shaped[np.ndarray, allowed],
        )
        for allowed in declared(hint)
    )


@each_record
def test_arrays_have_the_shapes_of_the_signature(record):
    hints, outputs = hints_of(record)
    for sample in [record.large(), *map(record.sample, SAMPLES)]:
        arrays = {**sample.arrays, **sample.fixed}
        with jaxtyping.jaxtyped("context"):
            for which, name in enumerate(name for name in hints if name in arrays):
                shape = np.shape(arrays[name])
                assert fits(shape, hints[name], sample.options, which), f"{name} {shape}"
            y = jax.eval_shape(sample.bind(record.op), *sample.arrays.values())
            for leaf, hint in zip(jax.tree.leaves(y), outputs, strict=True):
                assert fits(leaf.shape, hint, sample.options, 2), f"output {leaf.shape}"


@each_record
def test_every_array_has_a_shape(record):
    hints, outputs = hints_of(record)
    arrays = {name for s in map(record.sample, SAMPLES) for name in (*s.arrays, *s.fixed)}
    assert all(declared(hint) for hint in (*outputs, *(hints[name] for name in arrays)))


@each_record
def test_docstrings_write_the_same_shapes(record):
    """Where they write "x: input, (N, *spatial, C)". No sample tells it from (N, C, *spatial)."""
    hints, outputs = hints_of(record)
    doc = re.sub(r"C_\w+/groups", "C_group", inspect.getdoc(record.op))
    args, returns = re.search(r"^Args:\n(.*)^Returns:\n(.*)^Raises:", doc, re.S | re.M).groups()
    texts = dict(re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", args, re.S | re.M))
    pairs = [(texts.get(name, ""), hint) for name, hint in hints.items()]
    for text, hint in [*pairs, (returns, outputs[0])]:
        written = re.search(r", \(([^()]*\*[^()]*)\)", text)
        if declared(hint) and written:
            assert written[1].replace(",", "") in declared(hint)
