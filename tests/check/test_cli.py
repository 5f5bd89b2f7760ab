"""The command line: exit codes, one-line answers to bad usage, reports for machines."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import jaxconv
from jaxconv.check.cli import main

CASES = textwrap.dedent("""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jaxconv.check import Case

    def op(x, w):
        return x @ w

    @jax.custom_vjp
    def wrong(x, w):
        return x @ w

    wrong.defvjp(lambda x, w: (x @ w, (x, w)), lambda xw, dy: (dy @ xw[1].T, -xw[0].T @ dy))

    rng = np.random.default_rng(0)
    args = (rng.standard_normal((4, 3)), rng.standard_normal((3, 2)))
    right = Case("right", op, args, op, {"transforms": ()})
    both = [right, Case("wrong", wrong, args, op, {"transforms": ()})]
    nothing = []
    number = 3
    narrow = Case("narrow", op, args, lambda x: x)
    words = Case("words", lambda x, w: "a word", args, op)
    raises = Case("raises", lambda x, w: {}["x"], args, op)
""")


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "rules_of_mine.py").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "rules_of_mine"
    sys.modules.pop("rules_of_mine", None)


def exits(*arguments):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    return info.value.code


def test_an_op_that_holds(capsys):
    assert exits("relu", "--samples", "1", "--seed", "3") == 0
    out = capsys.readouterr().out
    assert "relu #3 x(2, 3, 5): holds" in out
    assert out.endswith("1 of 1 hold\n")


def test_cases_of_ones_own(module, tmp_path, capsys):
    assert exits(f"{module}:right") == 0
    assert exits(f"{module}:both", "--json", str(tmp_path / "out.json")) == 1
    out = capsys.readouterr().out
    assert "wrong: does not hold" in out
    assert "smallest failing call: python -m jaxconv.check rules_of_mine:both" in out
    document = json.loads((tmp_path / "out.json").read_text())
    assert [report["ok"] for report in document["reports"]] == [True, False]
    assert document["reports"][1]["failures"][0]["argument"] == "args[1]"
    assert sorted(path.name for path in tmp_path.glob("*.json*")) == ["out.json"]


def test_processes_answer_in_order(module, tmp_path):
    command = [sys.executable, "-m", "jaxconv.check", f"{module}:both", f"{module}:right", "-j2"]
    package = Path(jaxconv.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 1, done.stderr
    heads = [line.split(":")[0] for line in done.stdout.splitlines() if "comparisons" in line]
    assert heads == ["right", "wrong", "right"]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["max_pol"], "no op is called 'max_pol'; did you mean 'max_pool'?"),
        (["max_pol", "--mutants"], "no op is called 'max_pol'; did you mean 'max_pool'?"),
        (["relu", "--samples", "0"], "argument --samples: must be 1 or more, but '0' came"),
        (["relu", "-j", "two"], "argument -j/--jobs: must be 1 or more, but 'two' came"),
        (["relu", "--seed", "-1"], "argument --seed: must be 0 or more, but '-1' came"),
        (["relu", "--json", "no/where.json"], "argument --json: there is no folder"),
        (["no_such_module:case"], "no_such_module cannot be imported: ModuleNotFoundError"),
        (["rules_of_mine:wright"], "rules_of_mine has no 'wright'; did you mean 'right'?"),
        (["rules_of_mine:nothing"], "rules_of_mine:nothing must be a Case or a list of them"),
        (["rules_of_mine:number"], "rules_of_mine:number must be a Case or a list of them"),
        (["rules_of_mine:"], "'rules_of_mine:' is neither an op nor module:attribute"),
        (["rules_of_mine:narrow"], "rules_of_mine:narrow: the reference cannot be called"),
        (["rules_of_mine:words"], "rules_of_mine:words: "),
        (["rules_of_mine:raises"], "rules_of_mine:raises: "),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_bad_usage_is_answered_in_one_line(module, arguments, answer, capsys):
    assert exits(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"check: {answer}"), err
    assert err.count("\n") == 1
