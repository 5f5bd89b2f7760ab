"""Loss and accuracy over the epochs."""

from pathlib import Path

from jaxconv._core.extras import needs
from jaxconv.train.config import Config
from jaxconv.train.record import Epoch

with needs("train"):
    from matplotlib.figure import Figure

TRAIN, TEST = "#4477aa", "#ee6677"  # distinct in every kind of colour blindness


def draw_curves(path: Path, epochs: list[Epoch], config: Config) -> None:
    """Draw loss and accuracy over the epochs."""
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    numbers = [e.epoch for e in epochs]
    marker = "o" if len(epochs) == 1 else None

    for name, color, values in (
        ("train", TRAIN, [e.loss for e in epochs]),
        ("test", TEST, [e.test_loss for e in epochs]),
    ):
        left.plot(numbers, values, color=color, marker=marker, label=f"{name} {values[-1]:.4f}")
    left.set_yscale("log")
    left.set_title("loss (cross-entropy)", loc="left")
    left.legend(frameon=False)
    for name, color, values in (
        ("train", TRAIN, [e.train_accuracy for e in epochs]),
        ("test", TEST, [e.test_accuracy for e in epochs]),
    ):
        percent = [100 * value for value in values]
        right.plot(
            numbers, percent, color=color, marker=marker, label=f"{name} {percent[-1]:.2f} %"
        )
    right.set_title("accuracy (%)", loc="left")
    right.legend(title=f"after epoch {numbers[-1]}", loc="lower right", frameon=False)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", which="major", color="0.9")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(
        f"{config.model} on {config.title}, {config.gradients} gradients", x=0.01, ha="left"
    )
    figure.savefig(path)
