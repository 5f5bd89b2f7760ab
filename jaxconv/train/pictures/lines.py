"""Lines over the epochs, in curves.png and in the report."""

from collections.abc import Sequence

from jaxconv._core.extras import needs
from jaxconv.train.record import Epoch

with needs("train"):
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, MaxNLocator

TRAIN, HELD_OUT = "#4477aa", "#ee6677"  # distinct in every kind of colour blindness


def draw_loss(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """Draw the losses, each with its last value."""
    for name, color, values in (
        ("train", TRAIN, [epoch.loss for epoch in epochs]),
        ("held out", HELD_OUT, [epoch.test_loss for epoch in epochs]),
    ):
        _line(axes, epochs, values, color, f"{name} {values[-1]:.4g}")
    axes.set_yscale("log")
    _finish(axes, epochs, "loss (cross-entropy)")


def draw_accuracy(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """Draw the accuracies in percent, each with its last value."""
    for name, color, values in (
        ("train", TRAIN, [100 * epoch.train_accuracy for epoch in epochs]),
        ("held out", HELD_OUT, [100 * epoch.test_accuracy for epoch in epochs]),
    ):
        _line(axes, epochs, values, color, f"{name} {values[-1]:.2f}%")
    _finish(axes, epochs, "accuracy (%)")
    if len(epochs) == 1:
        axes.set_ylim(0, 105)


def draw_learning_rate(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """Draw the learning rate of the first step of each epoch."""
    values = [epoch.learning_rate for epoch in epochs]
    _line(axes, epochs, values, TRAIN, None)
    most = max(values)
    if most > 0:
        axes.set_ylim(0, 1.1 * most)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _finish(axes, epochs, "learning rate")


def _line(
    axes: Axes, epochs: Sequence[Epoch], values: list[float], color: str, label: str | None
) -> None:
    """Draw a line over the epochs; a dot if there is only one."""
    marker = "o" if len(epochs) == 1 else None
    axes.plot([e.epoch for e in epochs], values, color=color, marker=marker, label=label)


def _finish(axes: Axes, epochs: Sequence[Epoch], title: str) -> None:
    """Write the title and the epochs, which are whole numbers."""
    axes.set_title(title, loc="left")
    axes.set_xlabel("epoch")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs) == 1:
        axes.margins(y=0.8)  # room for the legend
    first, last = epochs[0].epoch, epochs[-1].epoch
    beside = min(0.45, 0.05 * (last - first)) or 0.9  # no epoch that there is not
    axes.set_xlim(first - beside, last + beside)
