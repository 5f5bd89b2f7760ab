"""The files of measurements: what is read is what was written, and runs are merged by case."""

import json
import os

import pytest

from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.machine import Machine, Run
from jaxconv.bench.saved import file_name, read, read_all, save

MACHINE = Machine("A processor", "AVX2", 2, "cpu")


def run(day, batches=1):
    versions = {"Python": "3.11.7", "JAX": "0.10.2"}
    return Run(f"2026-01-0{day} 00:00:00", "abc", versions, 2, 9, batches, Ceilings(7e10, 3e10))


def result(ms):
    timing = Timing(0.5, 1000, [0.001 * ms * n for n in (1, 2, 6)], "f00")
    return Result(
        {"both": {"ours": timing, "PyTorch": Timing(seconds=[0.25])}},
        {"both": 1.23456},
        {"ours": 8},
    )


def test_what_was_written_is_read(tmp_path):
    path = save(tmp_path, MACHINE, run(1), "ops", "conv 3×3", result(1))
    assert os.listdir(tmp_path) == ["a-avx2-2-cores-jax0.10.2.json"]
    saved = read(path)
    assert (saved.machine, saved.jax) == (MACHINE, "0.10.2")
    assert saved.runs == {run(1).date: run(1)}
    found = saved.results("ops")["conv 3×3"]
    assert found.floor_ms == {"both": 1.235}
    assert found.residual_bytes == {"ours": 8}
    ours = found.timings["both"]["ours"]
    assert ours.median_ms == 2
    assert (ours.compile_s, ours.temporary_bytes, ours.program) == (0.5, 1000, "f00")
    assert found.timings["both"]["PyTorch"] == Timing(seconds=[0.25] * 5)
    assert saved.results("growth") == {}
    assert read_all(tmp_path) == [saved]


def test_a_later_run_replaces_its_cases_alone(tmp_path):
    for name in ("a", "b"):
        save(tmp_path, MACHINE, run(1), "ops", name, result(1))
    path = save(tmp_path, MACHINE, run(2), "ops", "b", result(5))
    save(tmp_path, MACHINE, run(2), "growth", "c", result(7))
    saved = read(path)
    assert {name: case.date for name, case in saved.sections["ops"].items()} == {
        "a": run(1).date, "b": run(2).date,
    }  # fmt: skip
    assert saved.results("ops")["b"].timings["both"]["ours"].median_ms == 10
    assert set(saved.runs) == {run(1).date, run(2).date}
    save(tmp_path, MACHINE, run(3), "ops", "a", result(1))
    assert set(read(path).runs) == {run(2).date, run(3).date}  # nothing is left of the first


def test_a_case_is_a_line(tmp_path):
    path = save(tmp_path, MACHINE, run(1), "ops", "a", result(1))
    before = path.read_text().splitlines()
    save(tmp_path, MACHINE, run(1), "ops", "b", result(1))
    after = path.read_text().splitlines()
    assert len(after) == len(before) + 1
    json.loads("\n".join(after))


def test_more_examples_have_a_file_of_their_own():
    assert file_name(MACHINE, run(1, batches=16)) == "a-avx2-2-cores-jax0.10.2-batches16.json"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}, "runs": {}, "sections": {}}'])
def test_other_files_are_named(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"x\.json holds no measurements"):
        read(path)
