"""The command line: what it writes, and its one-line answers to bad usage."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from jaxconv.bench import cases, contestants, floors, networks
from jaxconv.bench.cases import Case
from jaxconv.bench.cli import main
from jaxconv.bench.floors import Ceilings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_ops(monkeypatch):
    """Only tiny things to measure, and a machine whose ceilings are known."""
    tiny = {"relu tiny": Case("relu", ((2, 3),)), "tanh tiny": Case("tanh", ((2, 3),))}
    monkeypatch.setattr(cases, "CASES", tiny)
    monkeypatch.setattr(networks, "NETWORKS", {})
    monkeypatch.setattr(floors, "measured_ceilings", lambda options, size: Ceilings(1e9, 1e9))


def test_everything_is_written(two_ops, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contestants, "MORE", 1)
    table, picture, data = tmp_path / "t.md", tmp_path / "p.png", tmp_path / "d.json"
    files = ["--json", str(data), "--markdown", str(table), "--plot", str(picture)]
    main(["--only", "relu", "--rounds", "2", "--batches", "3", "--device", "cpu", *files])
    out = capsys.readouterr().out
    assert "relu tiny" in out
    assert "tanh" not in out
    document = json.loads(data.read_text())
    assert list(document["results"]) == ["relu tiny"]
    assert (document["about"]["rounds"], document["about"]["batches"]) == (2, 3)
    assert len(document["results"]["relu tiny"]["both"]["ours"]["seconds"]) == 2
    assert "| relu tiny |" in table.read_text()
    assert picture.stat().st_size > 1000


def test_the_catalogue_instead(two_ops, monkeypatch, capsys):
    monkeypatch.setattr(contestants, "MORE", 1)
    main(["--catalogue", "--only", "hard_tanh", "--rounds", "1"])
    out = capsys.readouterr().out
    assert "hard_tanh" in out
    assert "tanh tiny" not in out


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--only", "relu", "pol"], "--only: no name has 'pol' in it; there are relu tiny, tanh"),
        (["--only"], "argument --only: expected at least one argument"),
        (["--rounds", "0"], "argument --rounds: must be 1 or more, but '0' came"),
        (["--batches", "0"], "argument --batches: must be 1 or more, but '0' came"),
        (["--threads", "many"], "argument --threads: must be 1 or more, but 'many' came"),
        (["--device", "abacus"], "--device: JAX finds no 'abacus' here; it has cpu"),
        (["--json", "no/where.json"], "argument --json: there is no folder"),
        (["--markdown", "."], "argument --markdown: . is a folder"),
        (["--plot", "no/where.png"], "argument --plot: there is no folder"),
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
        (["--plot", "p.png"], "matplotlib", "--plot: matplotlib is not installed; it comes with"),
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
    flags = "only catalogue rounds batches device threads json markdown plot"
    for flag in flags.split():
        assert f"--{flag}" in out
