"""The charts of docs/benchmarks.md, drawn from the saved measurements."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing
from jaxconv.bench.convolution import KINDS
from jaxconv.bench.geometries import GEOMETRIES
from jaxconv.bench.growth import AXES, inversions, measured_series
from jaxconv.bench.saved import Saved
from jaxconv.bench.summary import compared

# The rows of the page and of the chart: ops that take most of a training step, and four steps.
ROWS = (
    "conv 3x3 64", "depthwise 3x3", "grouped 4", "transposed 4x4 stride 2", "conv3d 3x3x3",
    "max pool 3x3 stride 2", "batch norm", "cross-entropy 1000", "LeNet step",
    "ResNet-20-like step", "MobileNet-like step", "Flax step",
)  # fmt: skip
OVERVIEW = "benchmarks.svg"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def label(saved: Saved, files: Sequence[Saved]) -> str:
    """Return the file's label: the version of JAX, and the machine if there are several."""
    several = len({other.machine for other in files}) > 1
    return f"JAX {saved.jax}" + (f", {saved.machine}" if several else "")


def growth_name(saved: Saved) -> str:
    """Return the name of the chart that shows how time grows."""
    return f"growth-{saved.machine.slug}-jax{saved.jax}.svg"


def draw(files: Sequence[Saved], folder: Path) -> None:
    """Write all charts for which there is data."""
    if any(saved.sections for saved in files):
        _write(_overview(files), folder / OVERVIEW)
    for saved in files:
        if saved.sections.get("growth"):
            _write(_growth(saved), folder / growth_name(saved))


def _pyplot() -> Any:
    with needs("train"):
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.hashsalt": "jaxconv", "font.size": 9})
    return pyplot


def _write(figure: Any, path: Path) -> None:
    with replacing(path) as beside:
        figure.savefig(beside, metadata={"Date": None} if path.suffix == ".svg" else None)
    _pyplot().close(figure)


def _overview(files: Sequence[Saved]) -> Any:
    """Draw how many times faster than autodiff the page's rows and the known geometries are."""
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for number, saved in enumerate(files):
        colour, shift = _COLOURS[number % len(_COLOURS)], 0.18 * (number - (len(files) - 1) / 2)
        rows = compared(saved.results("ops") | saved.results("networks"))
        of_row = {row.name: row.faster for row in rows}
        places = [(ROWS.index(name) + shift, of_row[name]) for name in ROWS if name in of_row]
        left.plot(
            [faster for _, faster in places], [place for place, _ in places],
            "o", color=colour, label=label(saved, files),
        )  # fmt: skip
        known = [
            (KINDS.index(GEOMETRIES[row.name].kind) + shift, row.faster)
            for row in compared(saved.results("geometries"))
            if row.name in GEOMETRIES
        ]
        right.plot(
            [faster for _, faster in known], [place for place, _ in known],
            "o", color=colour, alpha=0.6, markersize=4,
        )  # fmt: skip
    for axes, names, title in (
        (left, ROWS, "Ops and training steps"),
        (right, KINDS, "Convolutions of known networks, each a dot"),
    ):
        axes.set(
            xscale="log", yticks=range(len(names)), yticklabels=names, title=title,
            ylim=(len(names) - 0.5, -0.5), xlabel="times faster than autodiff",
        )  # fmt: skip
        axes.axvline(1, color="black", linewidth=1)
        axes.grid(axis="x", which="both", alpha=0.25)
        axes.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _growth(saved: Saved) -> Any:
    """Draw a panel for each layer: time against work, as batch, size and channels are doubled."""
    results = saved.results("growth")
    series = measured_series(results)
    holes = {(hole.layer, hole.axis, hole.less) for hole in inversions(results)}
    rows = -(-len(series) // 4)
    figure, panels = _pyplot().subplots(
        rows, 4, figsize=(12, 2.7 * rows + 0.8), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(series) :]:
        panel.set_axis_off()
    for panel, (layer, axes) in zip(panels.flat, series.items(), strict=False):
        for axis, points in axes.items():
            colour = _COLOURS[AXES.index(axis)]
            work = [point.multiply_adds / 1e6 for point in points]
            panel.plot(work, [point.ms("autodiff") for point in points], "--", color=colour)
            panel.plot(
                work, [point.ms("ours") for point in points], "o-", color=colour, markersize=3
            )
            marked = [point for point in points if (layer, axis, point.number) in holes]
            panel.plot(
                [point.multiply_adds / 1e6 for point in marked],
                [point.ms("ours") for point in marked],
                "o", color="black", markersize=9, fillstyle="none",
            )  # fmt: skip
        panel.set(xscale="log", yscale="log", title=layer)
        panel.grid(alpha=0.25)
        for ticks in (panel.xaxis, panel.yaxis):
            ticks.set_major_formatter("{x:g}")
    figure.supxlabel("millions of multiply-adds in the forward pass")
    figure.supylabel("ms, forward + backward")
    _growth_legend(figure)
    return figure


def _growth_legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        *(
            Line2D([], [], color=colour, label=f"{axis} doubled")
            for colour, axis in zip(_COLOURS, AXES, strict=False)
        ),
        Line2D([], [], color="grey", marker="o", markersize=3, label="ours"),
        Line2D([], [], color="grey", linestyle="--", label="autodiff"),
        Line2D(
            [], [], color="black", marker="o", markersize=9, fillstyle="none", linestyle="",
            label="takes longer than a larger one",
        ),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=6)
