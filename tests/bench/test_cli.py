"""The command line: what it writes, and its one-line answers to bad usage."""

import runpy
import sys
from pathlib import Path

import pytest

from jaxconv.bench import cases, contestants, floors, geometries, growth, networks
from jaxconv.bench.cases import Case
from jaxconv.bench.cli import main
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.saved import read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_ops(monkeypatch):
    """Only tiny things to measure, and a machine whose ceilings are known."""
    monkeypatch.setattr(contestants, "MORE", 1)
    tiny = {"relu tiny": Case("relu", ((2, 3),)), "tanh tiny": Case("tanh", ((2, 3),))}
    monkeypatch.setattr(cases, "CASES", tiny)
    monkeypatch.setattr(networks, "NETWORKS", {})
    monkeypatch.setattr(floors, "measured_ceilings", lambda options, size: Ceilings(1e9, 1e9))


def test_everything_is_written(two_ops, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--rounds", "2", "--batches", "3", "--device", "cpu", "--save"]
    main(["--only", "relu", *arguments, "--markdown", "t.md"])
    out = capsys.readouterr().out
    assert "relu tiny" in out
    assert "tanh" not in out
    assert "Time of autodiff / ours in 1 cases" in out
    assert "| relu tiny |" in Path("t.md").read_text()
    (file,) = Path("benchmarks").iterdir()
    assert file.name.endswith("-batches3.json")
    main(["--only", "tanh", *arguments])
    saved = read(file)
    assert list(saved.results("ops")) == ["relu tiny", "tanh tiny"]
    assert {(run.rounds, run.batches) for run in saved.runs.values()} == {(2, 3)}


def test_a_case_that_fails_does_not_end_the_run(two_ops, monkeypatch, capsys):
    broken = Case("relu", ((2, 3),), {"slope": 1})
    monkeypatch.setattr(cases, "CASES", {"broken": broken, **cases.CASES})
    with pytest.raises(SystemExit) as stop:
        main(["--rounds", "1"])
    assert stop.value.code == 1
    out, err = capsys.readouterr()
    assert "tanh tiny" in out
    assert "Failed:\nbroken: TypeError: relu" in err


def test_geometries_and_growth(two_ops, monkeypatch, capsys):
    small = growth.LAYERS["1×1, 64→64"].at(1, 4, 8)
    monkeypatch.setattr(geometries, "GEOMETRIES", {"small": small})
    monkeypatch.setattr(growth, "POINTS", {"point": small})
    main(["--geometries", "--rounds", "1"])
    assert "small" in capsys.readouterr().out
    main(["--growth", "--rounds", "1"])
    assert "Less work that takes longer than more: 0." in capsys.readouterr().out


def test_the_page_is_rendered(two_ops, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["--render"])
    assert capsys.readouterr().err.startswith("bench: --render: there is no folder docs here")
    Path("docs").mkdir()
    main(["--save", "--rounds", "1"])
    main(["--render"])
    assert Path("docs/benchmarks.md").read_text().startswith("# Benchmarks")
    assert Path("docs/benchmarks.svg").read_text().startswith("<?xml")
    Path("benchmarks/other.json").write_text("[]")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["--render"])
    assert stop.value.code == 2
    assert "benchmarks/other.json holds no measurements" in capsys.readouterr().err


def test_the_catalogue_instead(two_ops, capsys):
    main(["--catalogue", "--only", "hard_tanh", "--rounds", "1"])
    out = capsys.readouterr().out
    assert "hard_tanh" in out
    assert "tanh tiny" not in out


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--only", "relu", "pol"], "--only: no name has 'pol' in it; there are relu tiny, tanh"),
        (["--only"], "argument --only: expected at least one argument"),
        (["--rounds", "0"], "argument --rounds: must be 1 or more, but got '0'"),
        (["--batches", "0"], "argument --batches: must be 1 or more, but got '0'"),
        (["--threads", "many"], "argument --threads: must be 1 or more, but got 'many'"),
        (["--device", "abacus"], "--device: JAX finds no 'abacus' here; it has cpu"),
        (["--markdown", "."], "argument --markdown: . is a folder"),
        (["--markdown", "no/where.md"], "argument --markdown: there is no folder"),
        (["--against", "no/where"], "--against: 'no/where' is neither a folder with jaxconv in it"),
        (["--against", "HEAD", "--save"], "--against: not allowed with --save"),
        (["--growth", "--geometries"], "argument --geometries: not allowed with argument --growth"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_usage_is_answered_in_one_line(two_ops, arguments, answer, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"bench: {answer}"), err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "module", "answer"),
    [
        (["--threads", "2"], "torch", "--threads: PyTorch is not installed"),
        (["--render"], "matplotlib", "--render: matplotlib is not installed; it comes with"),
    ],
)
def test_what_is_missing_is_said_at_once(two_ops, arguments, module, answer, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"bench: {answer}")


def test_an_interrupt(two_ops, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(contestants, "measure", interrupted)
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "bench: interrupted\n"


@pytest.mark.parametrize("file", ["scripts/bench.py", "jaxconv/bench/__main__.py"])
def test_both_entries_are_the_command(file, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / file), run_name="__main__")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    flags = "geometries growth catalogue only rounds batches device threads save markdown"
    for flag in [*flags.split(), "against", "render"]:
        assert f"--{flag}" in out
