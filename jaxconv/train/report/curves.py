"""The curves of a run."""

import io
from collections.abc import Sequence

from jaxconv._core.extras import needs
from jaxconv.train.record import Epoch

with needs("train"):
    from matplotlib.figure import Figure


def curves(epochs: Sequence[Epoch], best: Epoch) -> str:
    """Return loss, accuracy and learning rate over the epochs, as one SVG."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    shown = (
        ("loss", True, (("train", "loss"), ("held out", "test_loss"))),
        ("accuracy", False, (("train", "train_accuracy"), ("held out", "test_accuracy"))),
        ("learning rate", False, (("", "learning_rate"),)),
    )
    for axes, (title, logarithmic, lines) in zip(panels, shown, strict=True):
        for color, (label, field) in zip(("#4477aa", "#ee6677"), lines, strict=False):
            values = [getattr(epoch, field) for epoch in epochs]
            axes.plot(numbers, values, color=color, label=label, marker=marker)
        if logarithmic:
            axes.set_yscale("log")
        if len(lines) > 1:
            axes.axvline(best.epoch, color="0.7", linestyle=":", label=f"best, epoch {best.epoch}")
            axes.legend(frameon=False)
        axes.set_title(title, loc="left")
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    return '<div class="plot">' + svg[svg.index("<svg") :] + "</div>"
