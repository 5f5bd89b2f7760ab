"""The command line: exit codes, one-line answers to bad usage, reports for machines."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import pytest

import jaxconv
import jaxconv.reference
from jaxconv.check import missing
from jaxconv.check.cli import main
from jaxconv.check.console import Progress, show_table
from jaxconv.check.report import Diagnosis, Failure, Report

CASES = textwrap.dedent("""
    import os
    import signal
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
    # A shell lets what it runs in the background ignore interrupts, and so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stops = [Case("stops", lambda x, w: os.kill(os.getppid(), signal.SIGINT) or x, args)] * 2

    @jax.custom_vjp
    def averaged(x):
        return x * x

    averaged.defvjp(lambda x: (x * x, x), lambda x, dy: (2 * x * dy / len(x),))
    many = Case("averaged", averaged, (rng.standard_normal(8),), jnp.square, {"transforms": ()})
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
    assert document["reports"][1]["failures"][0]["argument"] == "w"
    assert sorted(path.name for path in tmp_path.glob("*.json*")) == ["out.json"]


def in_a_process_of_its_own(folder, *arguments):
    command = [sys.executable, "-m", "jaxconv.check", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxconv.__file__).parents[1])}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


def test_the_line_that_is_offered_fails_the_same_way(monkeypatch, capsys):
    """The smallest of a few samples, in a line to paste."""
    right = jaxconv.tanh

    @jax.custom_vjp
    def wrong(x):
        return right(x)

    wrong.defvjp(lambda x: (right(x), x), lambda x, dy: (dy,))
    monkeypatch.setattr(jaxconv, "tanh", wrong)
    assert exits("tanh", "--seed", "2", "--samples", "1", "--dtypes", "float64") == 1
    first = capsys.readouterr().out
    (line,) = (
        line.partition("smallest failing call: ")[2]
        for line in first.splitlines()
        if "smallest failing call" in line
    )
    assert line.startswith("python -m jaxconv.check tanh --seed ")
    assert exits(*line.split()[3:]) == 1
    assert "[autodiff, float64] d(x)" in capsys.readouterr().out


def test_of_a_case_the_fewest_examples_that_fail(module, capsys):
    """A mean over the batch is right for a batch of one."""
    assert exits(f"{module}:many", "--seed", "2") == 1
    offered = f"{module}:many --seed 2 (the first 2 of 8 examples are enough)"
    assert f"python -m jaxconv.check {offered}\n" in capsys.readouterr().out


def test_dtypes_are_tried_as_asked(capsys):
    assert exits("relu", "--seed", "3", "--samples", "1", "--dtypes", "float16") == 0
    assert exits("relu", "--seed", "3", "--samples", "1", "--dtypes", "float64") == 0
    counts = [int(n) for n in re.findall(r"\((\d+) comparisons", capsys.readouterr().out)]
    assert counts[0] > counts[1]


def test_right_calls_at_random(tmp_path, capsys):
    file = tmp_path / "random.json"
    for _ in range(2):
        asked = ["tanh", "jax.nn.softmax", "--random", "3", "--seed", "1"]
        assert exits(*asked, "--json", str(file)) == 0
        assert capsys.readouterr().out.endswith("3 right calls drawn at random, 0 called wrong\n")
        assert json.loads(file.read_text()) == {"ok": True, "tried": 3, "alarms": []}


def test_wrong_calls_at_random(monkeypatch, capsys):
    wrong = jax.custom_vjp(jaxconv.tanh)
    wrong.defvjp(lambda x: (jaxconv.reference.tanh(x), x), lambda x, dy: (dy,))
    monkeypatch.setattr(jaxconv, "tanh", wrong)
    assert exits("tanh", "--random", "2") == 1
    out = capsys.readouterr().out
    assert "smallest failing call: python -m jaxconv.check tanh --random 1\n" in out


def test_an_interrupt_ends_all_processes_in_one_line(module, tmp_path):
    done = in_a_process_of_its_own(tmp_path, f"{module}:stops", "-j2")
    assert (done.returncode, done.stderr) == (130, "check: interrupted\n")


def test_tables_are_drawn_on_a_terminal_and_plain_elsewhere(monkeypatch, capsys):
    table = ("Mutants", ("op", "caught"), [("relu [x]", 3)])
    show_table(*table)
    assert capsys.readouterr().out == "\nMutants\nop        caught\nrelu [x]       3\n"
    pytest.importorskip("rich", reason="the tables are plain without it")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_table(*table)
    assert re.search(r"│ relu \[x\] │ +3 │", capsys.readouterr().out)


def test_on_a_terminal_what_failed_is_a_table(monkeypatch, capsys):
    wrong = Failure(
        "args[1]", "autodiff", "[autodiff, float64] d(args[1])[2, 0] is …", (2, 0), 1.5, 0.75, 0.75,
        1.0, 3, 1200, "one channel", "vmap", "float64",
        Diagnosis("constant_factor", "2 times [what] it should be", 0.0, "docs/diagnoses.md"),
    )  # fmt: skip
    crash = Failure("", "structure", "[structure, float64] the backward pass fails: TypeError")
    report = Report("mine", [wrong, crash], ["a kink"], 7, reproduce="python -m jaxconv.check mine")
    with Progress(1) as progress:
        progress.tell(report, str(report))
    assert capsys.readouterr().out == f"{report}\n"
    pytest.importorskip("rich", reason="reports are plain without it")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")  # a dumb one has 80 columns, whatever is said
    monkeypatch.setenv("COLUMNS", "200")
    with Progress(1) as progress:
        progress.tell(report, str(report))
    shown = capsys.readouterr().out
    cells = r"args\[1\] +│ autodiff, float64, vmap +│ \[2, 0\] +│ +1\.5 │ +0\.75 │ +0\.75 │ +1 │"
    assert re.search(cells + r" 3 of 1,200 │ one channel", shown)
    assert re.search(r"value +│ structure.*│ the backward pass fails: TypeError", shown)
    assert "args[1]: constant_factor: 2 times [what] it should be" in shown
    assert "got = c·want, where c is one number" in shown
    assert "docs/diagnoses.md" in shown
    assert "note: a kink" in shown
    assert "smallest failing call: python -m jaxconv.check" in shown


def test_processes_answer_in_order(module, tmp_path):
    done = in_a_process_of_its_own(tmp_path, f"{module}:both", f"{module}:right", "-j2")
    assert done.returncode == 1, done.stderr
    heads = [line.split(":")[0] for line in done.stdout.splitlines() if "comparisons" in line]
    assert heads == ["right", "wrong", "right"]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["max_pol"], "no op is called 'max_pol'; did you mean 'max_pool'?"),
        (["max_pol", "--mutants"], "no op is called 'max_pol'; did you mean 'max_pool'?"),
        (["relu", "--samples", "0"], "argument --samples: must be 1 or more, but got '0'"),
        (["relu", "-j", "two"], "argument -j/--jobs: must be 1 or more, but got 'two'"),
        (["relu", "--seed", "-1"], "argument --seed: must be 0 or more, but got '-1'"),
        (["relu", "--json", "no/where.json"], "argument --json: there is no folder"),
        (["no_such_module:case"], "no_such_module cannot be imported: ModuleNotFoundError"),
        (["rules_of_mine:wright"], "rules_of_mine has no 'wright'; did you mean 'right'?"),
        (["rules_of_mine:nothing"], "rules_of_mine:nothing must be a Case or a list of them"),
        (["rules_of_mine:number"], "rules_of_mine:number must be a Case or a list of them"),
        (["rules_of_mine:"], "'rules_of_mine:' is neither an op nor module:attribute"),
        (["rules_of_mine:narrow"], "rules_of_mine:narrow: the reference cannot be called"),
        (["rules_of_mine:words"], "rules_of_mine:words: "),
        (["rules_of_mine:raises"], "rules_of_mine:raises: "),
        (["--random", "0"], "argument --random: must be 1 or more, but got '0'"),
        (["max_pol", "--random", "2"], "no op is called 'max_pol'; did you mean 'max_pool'?"),
        (["relu", "--dtypes", "f32"], "argument --dtypes: must be of float64, float32,"),
        (["--mutants", "--random", "2"], "argument --random: not allowed with argument --mutants"),
        (["--random", "2", "--dtypes", "float32"], "argument --dtypes: not allowed with argument"),
        (["--random", "2", "--samples", "1"], "argument --samples: not allowed with argument"),
        (["--mutants", "--costs"], "argument --costs: not allowed with argument --mutants"),
        (["--mutants", "--seed", "0"], "argument --seed: not allowed with argument --mutants"),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_bad_usage_is_answered_in_one_line(module, arguments, answer, capsys):
    assert exits(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"check: {answer}"), err
    assert err.count("\n") == 1


def test_what_is_missing_of_an_op(capsys):
    assert exits("--missing", "relu", "gelu") == 0
    assert capsys.readouterr().out == "relu, gelu: nothing is missing\n"
    assert exits("--missing", "relu", "nothing") == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("nothing: ") for line in lines)
    assert len(lines) == len(missing.PLACES)


def test_missing_needs_an_op_and_a_checkout(capsys, monkeypatch, tmp_path):
    assert exits("--missing") == 2
    assert capsys.readouterr().err == "check: --missing needs the name of an op\n"
    monkeypatch.setattr(missing, "DOCS", tmp_path / "docs")
    assert exits("--missing", "relu") == 2
    assert "needs a checkout of the repository" in capsys.readouterr().err
