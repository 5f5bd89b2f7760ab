"""The table of a run, from invented numbers."""

from dataclasses import replace

import pytest

from jaxconv.bench import report
from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.machine import Machine, Run


def timings(torch=True):
    names = ("ours", "autodiff", "ours + options", "autodiff + options", "autodiff again")
    times = (2, 12, 1, 6, 15)
    found = {
        name: Timing(compile_s, 3_000_000, [ms / 1e3] * 3)
        for name, ms, compile_s in zip(names, times, (3, 2, 3, 2, 2), strict=True)
    }
    return found | ({"PyTorch": Timing(seconds=[0.004])} if torch else {})


FULL = Result(
    {"forward": timings(), "both": timings(torch=False)},
    {"forward": 0.5, "both": 0.25},
    {"ours": 1_000_000, "autodiff": 2_500_000},
)
BARE = Result(
    {"step": {name: timings()[name] for name in ("ours", "autodiff", "autodiff again")}},
    {"step": 0.5},
    {},
)
RESULTS = {"conv": FULL, "net step": BARE}
CEILINGS = Ceilings(7.1e10, 1.25e10, 8e-6)
MACHINE = Machine("A processor", "AVX2", 2, "cpu")
RUN = Run("2026-01-02 03:04:05", "abc1234", {"JAX": "0.10.2"}, 2, 3, 1, CEILINGS)


def cells(row):
    return dict(zip(report.HEADINGS, row, strict=True))


def test_rows():
    forward, both, step = map(cells, report.rows(RESULTS))
    assert [row["ms"] for row in (forward, both, step)] == ["conv", "  + backward", "net step"]
    assert forward == {
        "ms": "conv", "ours": "2", "autodiff": "12", "ours + options": "1",
        "autodiff + options": "6", "PyTorch": "4", "faster": "6.00", "with options": "6.00",
        "noise": "25%", "floor": "0.5", "× floor": "2.0", "compile": "1.5",
        "temporary MB": "3 / 3", "residuals MB": "1 / 2.5",
    }  # fmt: skip
    assert (both["PyTorch"], both["floor"], both["× floor"]) == ("–", "0.25", "4.0")
    assert (step["with options"], step["× floor"], step["residuals MB"]) == ("–", "4.0", "– / –")


def test_with_options_is_against_whatever_suits_autodiff_best():
    slow = timings()
    slow["autodiff + options"].seconds = [0.1]
    assert (
        cells(report.rows({"x": Result({"step": slow}, {"step": 1}, {})})[0])["with options"]
        == "12.00"
    )


def test_equal_programs_are_marked():
    timings = {name: replace(timing, program="p") for name, timing in FULL.timings["both"].items()}
    (row,) = report.rows({"a": Result({"both": timings}, {"both": 1}, {})})
    assert row[report.HEADINGS.index("faster")] == "6.00 ="


def test_noise():
    quiet = timings()
    quiet["autodiff again"].seconds = [0.012]
    results = {"a": FULL, "b": Result({"step": quiet}, {"step": 1}, {})}
    assert report.noises(results) == {"median": pytest.approx(0.25), "largest": pytest.approx(0.25)}


def test_markdown():
    said, empty, header, rule, *rows = report.markdown(RESULTS, MACHINE, RUN).splitlines()
    assert said == (
        "A processor, AVX2, 2 cores; 2026-01-02 03:04:05, commit abc1234; JAX 0.10.2 (2 threads);"
        " float32, medians of 3 rounds or more. Ceilings: 71 G multiply-adds/s, 12.5 GB/s; an empty"
        " call takes 0.008 ms. Noise: median 25%, largest 25%."
    )
    assert empty == ""
    assert {line.count("|") for line in (header, rule, *rows)} == {len(report.HEADINGS) + 1}
    assert len(rows) == 3
