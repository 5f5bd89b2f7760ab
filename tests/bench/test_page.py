"""The page of the benchmarks: what is in the repository is what the saved measurements say."""

from pathlib import Path

from jaxconv.bench import charts, page
from jaxconv.bench.contestants import ALL, DEFAULTS, OURS_TWICE, Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.growth import LAYERS, point_name
from jaxconv.bench.machine import Machine, Run
from jaxconv.bench.saved import Saved, read_all

ROOT = Path(__file__).parents[2]
MACHINE = Machine("A processor", "AVX2", 2, "cpu")


def test_the_page_is_the_one_that_is_rendered():
    """If this fails: python scripts/bench.py --render."""
    files = read_all(ROOT / "benchmarks")
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page.text(files)
    drawn = {path.name for path in (ROOT / "docs").glob("*.svg")}
    wanted = {charts.growth_name(saved) for saved in files if saved.sections.get("growth")}
    assert drawn == wanted | ({charts.OVERVIEW} if files else set())


def result(who, *ms, direction="both"):
    """These contestants with these times, the rest as slow as the last."""
    times = [*ms, *[ms[-1]] * (len(who) - len(ms))]
    found = {
        name: Timing(0.5, 2_000_000, [one / 1e3]) for name, one in zip(who, times, strict=True)
    }
    return Result({direction: found}, {direction: 1.0}, {})


def files(*versions, machine=MACHINE):
    layer = next(iter(LAYERS))
    found = []
    for version in versions:
        saved = Saved(machine)
        run = Run("2026-01-02 03:04:05", "abc", {"JAX": version}, 2, 9, 1, Ceilings(1, 1))
        saved.add(run, "ops", "depthwise 3x3", result(ALL, 2, 2, 50))
        saved.add(run, "ops", "batch norm", result(ALL, 10, 10, 10.5, 10, 10.5, 30))
        saved.add(run, "networks", "LeNet step", result(ALL, 20, 20, 10, direction="step"))
        saved.add(run, "geometries", "VGG-16: conv5_1", result(DEFAULTS, 10, 8))
        saved.add(run, "geometries", "M5: conv1", result(DEFAULTS, 10, 40))
        for number, ms in ((1, 5), (2, 1)):
            saved.add(run, "growth", point_name(layer, "batch", number), result(OURS_TWICE, ms))
        found.append(saved)
    return found


def test_without_measurements():
    assert page.text([]).endswith("No measurements have been saved yet.\n")


def test_what_the_page_says():
    text = page.text(files("0.10.2", "0.12.0"))
    for line in (
        "| ms | ours, JAX 0.10.2 | autodiff | times faster | ours, JAX 0.12.0 | autodiff |"
        " times faster | PyTorch |",
        "| depthwise 3x3 | 2 | 50 | 25.00 | 2 | 50 | 25.00 | 50 |",
        "| times faster than autodiff | JAX 0.10.2 | JAX 0.12.0 |",
        "| convolutions | 2 | 2 |",
        "| geometric mean | 1.79 | 1.79 |",
        "| slower than autodiff | 1 | 1 |",
        "| dense, geometric mean | 0.80 | 0.80 |",
        "| 1-D, geometric mean | 4.00 | 4.00 |",
        "| VGG-16: conv5_1 | 3×3 512→512, on 4×14×14 | JAX 0.12.0 | 10 | 8 | 0.80 | 0% |",
        "- JAX 0.10.2: at least 1.5 times faster: depthwise 3x3 (25); less than 1.1 times faster:"
        " batch norm (1.1); slower beyond the noise: LeNet step (0.5).",
        "| LeNet step | 0.50 / 0.50 | 2 / 2 | 0.50 / 0.50 | 2 / 2 |",
        "- 3×3, 64→64: batch 1 takes 5 ms, 2 takes 1 ms",
        "- A processor, AVX2, 2 cores: JAX 0.10.2; 2026-01-02; commit abc; median noise 0%.",
    ):
        assert line in text.splitlines(), line
    assert "of 2 points, 1 of ours and 1 of autodiff's take longer" in text
    assert max(map(len, page._HEAD.splitlines())) < 101


def test_several_machines_have_a_table_each():
    other = MACHINE._replace(cores=8)
    both = [*files("0.10.2"), *files("0.10.2", machine=other)]
    text = page.text(both)
    assert text.count("| ms | ours, JAX 0.10.2 |") == 2
    assert "JAX 0.10.2, A processor, AVX2, 8 cores" in text


def test_a_file_with_one_section(tmp_path):
    (saved,) = files("0.10.2")
    saved.sections = {"geometries": saved.sections["geometries"]}
    text = page.text([saved])
    assert "## Convolutions" in text
    assert "## When you gain" not in text
    charts.draw([saved], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [charts.OVERVIEW]


def test_charts(tmp_path):
    found = files("0.10.2", "0.12.0")
    charts.draw(found, tmp_path)
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(drawn) == {
        "benchmarks.svg", "growth-a-avx2-2-cores-jax0.10.2.svg",
        "growth-a-avx2-2-cores-jax0.12.0.svg",
    }  # fmt: skip
    charts.draw(found, tmp_path)
    assert drawn == {path.name: path.read_text() for path in tmp_path.iterdir()}  # no date in them
