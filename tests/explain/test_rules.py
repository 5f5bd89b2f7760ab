"""The written-out sums, evaluated on random numbers, are what the ops and their rules compute."""

import jax
import numpy as np
import pytest
from drawn_geometries import drawn
from rules import assert_close, normal

from jaxconv.explain import all_terms

TOGETHER = 20  # geometries of one program: many small programs take longer to compile
QUICKLY, ALL = 10, 100
PARTS = [
    *range(QUICKLY),
    *(pytest.param(part, marks=pytest.mark.thorough) for part in range(QUICKLY, ALL)),
]


def fits(call, shapes):
    """Whether the op takes such arrays; of some draws no window fits."""
    try:
        y = jax.eval_shape(call, *(jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes))
    except ValueError:
        return False
    return y.size > 0


def geometries(part):
    """So many draws that fit, each with random arrays; whole numbers make ties for the pools."""
    found, seed = [], 10_000 * part
    while len(found) < TOGETHER:
        call, shapes, op, told = drawn(seed)
        if fits(call, shapes):
            arrays = [normal(seed + 7 * i, shape) for i, shape in enumerate(shapes)]
            if op in ("max_pool", "min_pool"):
                arrays = [np.round(array) for array in arrays]
            found.append((call, arrays, op, told))
        seed += 1
    return found


@pytest.mark.parametrize("part", PARTS)
def test_the_sums_are_what_the_rules_compute(part):
    found = geometries(part)
    calls = [call for call, *_ in found]

    @jax.jit
    def values_and_gradients(all_arrays, all_dy):
        results = []
        for call, arrays, dy in zip(calls, all_arrays, all_dy, strict=True):
            y, pullback = jax.vjp(call, *arrays)
            results.append((y, pullback(dy)))
        return results

    shapes = [jax.eval_shape(call, *arrays).shape for call, arrays, *_ in found]
    all_dy = [normal(part + i, shape) for i, shape in enumerate(shapes)]
    results = values_and_gradients([arrays for _, arrays, *_ in found], all_dy)
    for (_, arrays, op, told), dy, (y, gradients) in zip(found, all_dy, results, strict=True):
        names = ("x", "w", "b")[: len(arrays)]
        numbers = {**dict(zip(names, arrays, strict=True)), "dy": dy}
        wanted = {"y": y, **{f"d{n}": g for n, g in zip(names, gradients, strict=True)}}
        for name, want in wanted.items():
            got = [s.evaluate(numbers) for s in all_terms(op, of=name, **told)]
            assert_close(np.reshape(got, want.shape), want, f"{op} {told} {name}")
