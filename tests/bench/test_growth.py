"""How time grows: the series, and the steps that take less time with more work."""

import pytest

import jaxconv.reference
from jaxconv.bench import growth
from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.growth import LAYERS, POINTS, inversions, measured_series, point_name


@pytest.mark.parametrize("name", LAYERS)
def test_every_step_is_more_work(name):
    for axis, series in LAYERS[name].series().items():
        work = [point.multiply_adds for point in series.values()]
        assert work == sorted(set(work)), axis
        assert LAYERS[name].base[growth.AXES.index(axis)] in series


@pytest.mark.parametrize("name", LAYERS)
def test_multiply_adds_are_those_of_the_floor(name):
    point = LAYERS[name].at(1, 8, 32)
    assert point.work()["forward"][0].multiply_adds == point.multiply_adds
    assert point.residual_bytes(jaxconv.reference) is None


def result(ours, autodiff, again=None):
    names = {"ours": ours, "ours again": again or ours, "autodiff": autodiff}
    return Result({"both": {who: Timing(seconds=[ms / 1e3]) for who, ms in names.items()}}, {}, {})


def batches(*results):
    layer = next(iter(LAYERS))
    return {point_name(layer, "batch", 2**n): result for n, result in enumerate(results)}


def test_less_work_that_takes_longer_is_found():
    results = batches(result(1, 1), result(5, 2), result(2, 3), result(3, 4), result(8, 3.5))
    (hole,) = inversions(results)
    assert hole[:5] == (next(iter(LAYERS)), "batch", "ours", 2, 4)
    assert str(hole) == "3×3, 64→64: batch 2 takes 5 ms, 4 takes 2 ms"
    (other,) = inversions(results, "autodiff")
    assert (other.less, other.more) == (8, 16)


def test_noise_is_allowed():
    assert inversions(batches(result(1, 1), result(0.95, 1))) != []
    assert inversions(batches(result(1, 1, again=1.1), result(0.95, 1))) == []


def test_series_of_what_was_measured():
    results = batches(result(1, 1), result(2, 2))
    ((layer, axes),) = measured_series(results).items()
    assert [point.number for point in axes["batch"]] == [1, 2]
    assert point_name(layer, "batch", 1) in POINTS
