"""The curves of a run."""

import io
import re
from collections.abc import Sequence
from typing import Any

from jaxconv._core.extras import needs
from jaxconv.train.config import Config
from jaxconv.train.pictures.lines import HELD_OUT, draw_accuracy, draw_learning_rate, draw_loss
from jaxconv.train.record import Epoch

with needs("train"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#123456"
"""What is drawn in this colour has the colour of the text of the page, which may be dark."""


def curves(epochs: Sequence[Epoch], best: Epoch, config: Config) -> str:
    """Return loss, accuracy and learning rate over the epochs, as SVG."""
    colors: Any = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    panels = (
        ("loss", draw_loss, best.test_loss),
        ("accuracy", draw_accuracy, 100 * best.test_accuracy),
        ("learning rate", draw_learning_rate, None),
    )
    drawn = []
    with matplotlib.rc_context(colors):
        for name, draw, reached in panels:
            figure = Figure(figsize=(3.3, 3.1), layout="constrained")
            axes = figure.subplots()
            draw(axes, epochs)
            if reached is not None:
                if len(epochs) > 1:
                    _mark(axes, best, reached)
                # Beside a single dot those of the legend would look like two more.
                place: Any = "upper right" if name == "loss" else "lower right"
                if len(epochs) > 1:
                    place = "best"
                axes.legend(frameon=False, fontsize=8, loc=place)
            drawn.append(_svg(figure, name))
    return f'<div class="curves">{"".join(drawn)}</div>' + _note(config)


def _mark(axes: Axes, best: Epoch, value: float) -> None:
    """Mark the best epoch on the line of the held-out images."""
    label = f"best, epoch {best.epoch:,}"
    axes.plot([best.epoch], [value], "o", color=HELD_OUT, label=label, clip_on=False)


def _svg(figure: Figure, name: str) -> str:
    """Return a drawing as SVG, in the colour of the page; no other drawing has its ids."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue().replace(INK, "currentColor")
    own = name.replace(" ", "-")
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{own}-", svg[svg.index("<svg") :])
    return svg.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)


def _note(config: Config) -> str:
    """Return a sentence about what the training loss has in it that the held-out loss has not."""
    more = [
        name
        for name, is_on in (
            ("label smoothing", config.label_smoothing),
            ("mixup", config.mixup),
            ("class weights", config.class_weights != "equal"),
        )
        if is_on
    ]
    if not more:
        return ""
    names = " and ".join(filter(None, (", ".join(more[:-1]), more[-1])))
    return (
        f"<p>The training loss includes {names}, and so is not comparable with the held-out"
        " loss.</p>"
    )
