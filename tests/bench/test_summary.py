"""What many rows come to, from invented numbers."""

import pytest

from jaxconv.bench.contestants import AGAIN, Result, Timing
from jaxconv.bench.summary import compared, conclusion, mean_faster, slower


def result(ours, autodiff, again, programs=("p", "q")):
    names = {"ours": ours, "autodiff": autodiff, AGAIN: again}
    found = {name: Timing(seconds=[ms / 1e3]) for name, ms in names.items()}
    found["ours"].program, found["autodiff"].program = programs
    return Result({"forward": {}, "both": found}, {}, {})


RESULTS = {
    "fast": result(1, 8, 8.4),
    "level": result(10.3, 10, 10),
    "slow": result(20, 10, 11),
    "noisy": result(12, 10, 13),
    "the same": result(20, 10, 10, ("p", "p")),
}


def test_only_what_is_beyond_the_noise_is_slower():
    rows = compared(RESULTS)
    assert [row.name for row in slower(rows)] == ["slow"]
    assert rows[0].faster == pytest.approx(8)
    # Of one case, and of half of the cases measured with it, the larger noise counts.
    assert [row.noise for row in rows] == pytest.approx([0.05, 0.05, 0.1, 0.3, 0.05])


def test_the_mean_is_geometric():
    rows = compared({"a": result(1, 8, 8), "b": result(2, 1, 1)})
    assert mean_faster(rows) == pytest.approx(2)


def test_conclusion():
    first, *late = conclusion(compared(RESULTS)).splitlines()
    assert first.startswith("Time of autodiff / ours in 5 cases: geometric mean")
    assert first.endswith("Slower than autodiff beyond the noise: 1.")
    assert late == ["  slow: ours 20 ms, autodiff 10 ms (0.50, noise 10%)"]
    assert conclusion(compared({"a": RESULTS["fast"]}), "new", "old").endswith("noise: none.")


def test_nothing():
    assert compared({}) == []
