"""What has to be done at least, counted by hand."""

import functools
import math

import jax.numpy as jnp
import pytest

import jaxconv.reference as jc
from jaxconv._core.work import Work, contractions
from jaxconv.bench.floors import Ceilings, measured_ceilings, size_for


def counted(op, *shapes, **options):
    arrays = [jnp.zeros(shape, jnp.float32) for shape in shapes]
    (work,) = contractions(functools.partial(op, **options), *arrays)
    return work


@pytest.mark.parametrize(
    ("op", "shapes", "options", "work"),
    [
        (jc.dense, [(5, 3), (3, 4)], {}, Work(5 * 3 * 4, 4 * (15 + 12 + 20))),
        (jc.conv, [(2, 5, 3), (4, 3, 6)], {}, Work(2 * 5 * 4 * 3 * 6, 4 * (30 + 72 + 60))),
        (
            jc.conv, [(2, 6, 6, 4), (3, 3, 2, 8)], {"groups": 2, "stride": 2},
            Work(2 * 9 * 9 * 2 * 8, 4 * (2 * 36 * 4 + 9 * 2 * 8 + 2 * 9 * 8)),
        ),
        (
            jc.conv_transpose, [(2, 3, 3, 4), (4, 4, 5, 4)], {"stride": 2, "padding": 1},
            Work(2 * 9 * 16 * 5 * 4, 4 * (2 * 9 * 4 + 16 * 5 * 4 + 2 * 36 * 5)),
        ),
    ],
)  # fmt: skip
def test_multiply_adds_and_bytes(op, shapes, options, work):
    assert counted(op, *shapes, **options) == work


def test_the_scarcer_of_the_two_counts():
    machine = Ceilings(multiply_adds=1e9, bytes=1e8)
    assert machine.floor_ms([Work(2_000_000, 100_000)]) == pytest.approx(2)
    assert machine.floor_ms([Work(2_000_000, 300_000)]) == pytest.approx(3)
    assert machine.floor_ms([Work(2_000_000, 0), Work(0, 300_000)]) == pytest.approx(5)


def test_a_machine_has_ceilings():
    for ceiling in measured_ceilings({}, size=8, calls=1):
        assert 0 < ceiling < math.inf


def test_a_gpu_is_asked_for_more():
    assert size_for("gpu") > size_for("cpu")
