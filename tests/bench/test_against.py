"""Two checkouts in turns: each in processes of its own."""

import ast
import shutil
from pathlib import Path

import jax
import pytest

import jaxconv
from jaxconv.bench import against, contestants
from jaxconv.bench.against import ComparisonError, Row, checkout, compare, conclusion, described
from jaxconv.bench.cases import Case as Op
from jaxconv.bench.child import program
from jaxconv.bench.contestants import Timing
from jaxconv.bench.convolution import Convolution
from jaxconv.bench.networks import NETWORKS
from jaxconv.bench.sections import Case

TINY = Case("geometries", "tiny", Convolution(1, (4, 4), (3, 3), 2, 2))
PACKAGE = Path(jaxconv.__file__).parent


@pytest.mark.thorough
def test_both_checkouts_are_timed(monkeypatch):
    monkeypatch.setattr(contestants, "MORE", 1)
    row = compare(TINY, PACKAGE.parent, 1, "cpu")
    assert row.failure == ""
    assert list(row.timings) == ["old", "new", "old again", "new again"]
    assert all(timing.compile_s > 0 for timing in row.timings.values())
    assert all(len(timing.seconds) == 1 for timing in row.timings.values())


def test_what_another_checkout_does_not_have_is_said(tmp_path):
    """The other checkout is another package: one that has no ops."""
    (tmp_path / "jaxconv").mkdir()
    (tmp_path / "jaxconv" / "__init__.py").write_text("")
    with checkout(str(tmp_path)) as folder:
        row = compare(TINY, folder, 1, "cpu")
    assert row.failure.startswith("the other checkout: AttributeError: module 'jaxconv' has no")
    assert against.cells(row)[-1] == row.failure
    assert conclusion([row]) == "Nothing was compared."


def test_a_commit_is_a_checkout(monkeypatch, tmp_path):
    if shutil.which("git") is None or not (PACKAGE.parent / ".git").exists():
        pytest.skip("this is no checkout")
    with checkout("HEAD") as folder:
        assert (folder / "jaxconv" / "__init__.py").is_file()
    assert not folder.exists()
    with pytest.raises(ComparisonError, match="neither a folder with jaxconv in it nor a commit"):
        checkout("no-such-commit").__enter__()


@pytest.mark.parametrize(
    "case",
    [
        TINY,
        Case("ops", "batch norm", Op("batch_norm", ((2, 3, 3, 4), (4,), (4,)))),
        Case("ops", "loss", Op("softmax_cross_entropy", ((4, 3),), labels=3)),
        Case("networks", "LeNet step", NETWORKS["LeNet step"]),
    ],
    ids=lambda case: case.name,
)
def test_a_process_times_what_the_benchmark_times(case):
    function, args = program(ast.literal_eval(repr(described(case))))
    wanted = list(case.subject.on_jax(jaxconv).values())[-1]
    assert jax.eval_shape(function, *args) == jax.eval_shape(wanted.function, *wanted.args)


def row(name, **ms):
    return Row(
        name, {who.replace("_", " "): Timing(1.5, 3_000_000, [t / 1e3]) for who, t in ms.items()}
    )


def test_the_quicker_of_two_counts_and_their_distance_is_the_noise():
    rows = [
        row("quick", old=4, old_again=4.4, new=2.2, new_again=2),
        row("slow", old=4, old_again=4, new=5.5, new_again=5),
        row("noisy", old=4, old_again=6, new=5, new_again=5),
    ]
    assert against.cells(rows[0]) == ["quick", "4", "2", "2.00", "10%", "1.50 → 1.50", "3 → 3"]
    first, *late = conclusion(rows).splitlines()
    assert first.startswith("Time of old / new in 3 cases")
    assert late == ["  slow: new 5 ms, old 4 ms (0.80, noise 10%)"]
