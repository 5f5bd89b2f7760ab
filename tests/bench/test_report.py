"""The table, from numbers that were made up."""

import json
import os
from dataclasses import replace

import jax
import pytest

from jaxconv.bench import report
from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.files import write_json


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
SOURCE = report.About("A processor", 2, "cpu", {"jaxconv": "0.1"}, 2, 3, 1, CEILINGS)


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
    assert report.noise(quiet) == 0


def test_markdown():
    said, empty, header, rule, *rows = report.markdown(RESULTS, SOURCE).splitlines()
    assert said == (
        "A processor, 2 cores (PyTorch: 2 threads), device cpu; float32; jaxconv 0.1; medians of"
        " 3 rounds or more. Ceilings: 71 G multiply-adds/s, 12.5 GB/s; a call of nothing"
        " 0.008 ms. Noise: 25% in the middle, 25% at most."
    )
    assert empty == ""
    assert {line.count("|") for line in (header, rule, *rows)} == {len(report.HEADINGS) + 1}
    assert len(rows) == 3


def test_json(tmp_path):
    write_json(tmp_path / "out.json", report.document(RESULTS, SOURCE))
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["about"]["ceilings"] == CEILINGS._asdict()
    assert document["about"]["rounds"] == 3
    assert document["noise"]["largest"] == pytest.approx(0.25)
    conv = document["results"]["conv"]
    assert conv["residual_bytes"] == {"ours": 1_000_000, "autodiff": 2_500_000}
    assert conv["floor_ms"] == {"forward": 0.5, "both": 0.25}
    assert conv["both"]["ours"] == {
        "median_ms": 2, "compile_s": 3, "temporary_bytes": 3_000_000, "program": None,
        "seconds": [0.002] * 3,
    }  # fmt: skip


def test_plot(tmp_path):
    report.plot(RESULTS, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == ["out.png"]


def test_about_names_the_machine_and_no_host():
    found = report.about(jax.devices("cpu")[0], 9, 2, Ceilings(1, 1))
    assert found.processor
    assert found.cores >= 1
    assert found.versions["JAX"] == jax.__version__
    assert os.uname().nodename not in str(found)
    assert "rounds or more, 2 times as many examples. Ceilings" in str(found)
