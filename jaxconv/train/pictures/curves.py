"""Loss and accuracy over the epochs."""

from pathlib import Path

from jaxconv._core.extras import needs
from jaxconv.train.config import Config
from jaxconv.train.pictures.lines import draw_accuracy, draw_loss
from jaxconv.train.record import Epoch

with needs("train"):
    from matplotlib.figure import Figure


def draw_curves(path: Path, epochs: list[Epoch], config: Config) -> None:
    """Draw loss and accuracy over the epochs."""
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    draw_loss(left, epochs)
    draw_accuracy(right, epochs)
    title = f"after epoch {epochs[-1].epoch:,}"
    left.legend(title=title, frameon=False)
    right.legend(title=title, loc="lower right", frameon=False)
    for axes in (left, right):
        axes.grid(axis="y", which="major", color="0.9")
    figure.suptitle(
        f"{config.model} on {config.title}, {config.gradients} gradients",
        x=0.01,
        ha="left",
        parse_math=False,
    )
    figure.savefig(path)
