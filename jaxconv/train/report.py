"""`report.html`: what a run has learnt, in one file that needs nothing else."""

import base64
import html
import io
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxconv
from jaxconv._core.extras import needs
from jaxconv.models import MODELS, Params
from jaxconv.train.batch import as_floats, shuffled
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.flags import flag
from jaxconv.train.record import Epoch, best_of
from jaxconv.train.step import draw_moves, loss_and_counts, moved
from jaxconv.train.trained import TrainedNetwork, confusion

with needs("train"):
    from matplotlib.figure import Figure
    from PIL import Image

MISTAKES = 24
"""As many mistakes are shown."""

BATCH = 32
"""As many images of the first batch are shown, and used for the norms of the gradients."""

THUMBNAIL = 64
"""The least height and width of an image on the page."""

_STYLE = """
:root { color-scheme: light dark; --line: #ccc; --soft: #777; --bar: 68,119,170; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; --bar: 120,170,220; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .6rem; text-align: right; }
th { color: var(--soft); font-weight: normal; } td:first-child, th:first-child { text-align: left; }
.wide { overflow-x: auto; } .plot { background: #fff; max-width: 100%; height: auto; }
figure { display: inline-block; margin: .3rem; text-align: center; font-size: .8rem; }
figure img { image-rendering: pixelated; display: block; margin: 0 auto .2rem; }
figcaption { max-width: 8rem; overflow-wrap: anywhere; }
code { font-size: .85rem; } pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); }
.right { outline: 1px solid var(--line); }
""".strip()


class _Held(NamedTuple):
    """The images that a report looks at, and what the network says of them."""

    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray


def make_report(
    config: Config, dataset: Dataset, params: Params, epochs: Sequence[Epoch], folder: Path
) -> str:
    """Return the page of a run.

    Args:
        config: what the user has asked for.
        dataset: the images.
        params: the parameters after the best epoch.
        epochs: all epochs so far.
        folder: the output folder, with the pictures that the run has drawn.
    """
    network = TrainedNetwork(config, params, dataset.class_names, dataset.train_images.shape[1:])
    images, labels = dataset.last or dataset[2:4]
    held = _Held(images, labels, network.probabilities(images))
    last = epochs[-1]
    best = best_of(epochs)
    parts = [
        f"<h1>{_text(config.model)} on {_text(config.title)}</h1>",
        f"<p>{last.test_accuracy:.2%} of {len(dataset.test_labels):,} held-out images after epoch"
        f" {last.epoch}; the best was {best.test_accuracy:.2%} after epoch {best.epoch}."
        f" {len(dataset.train_labels):,} images to train on.</p>",
        "<p>This page shows the network after its best epoch, as predict and evaluate take it.</p>",
        *(f"<p>Note: {_text(note)}.</p>" for note in dataset.notes),
        "<h2>Curves</h2>",
        _curves(epochs, best),
        "<h2>Classes</h2>",
        f"<p>Of the {len(labels):,} images that were {_kept(dataset)}.</p>",
        _classes(held, dataset.class_names),
        "<h2>The surest mistakes</h2>",
        _mistakes(held, dataset.class_names),
        "<h2>A batch as the network saw it</h2>",
        _batch(config, dataset),
        "<h2>What the layers compute</h2>",
        _layers(network, held, folder),
        "<h2>Gradients by layer</h2>",
        _gradients(config, dataset, params),
        "<h2>How to repeat it</h2>",
        f"<pre>{_text(command(config))}</pre>",
        _settings(config),
    ]
    title = f"{config.model} on {config.title}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _kept(dataset: Dataset) -> str:
    return "held out" if dataset.last is None else "kept for the end"


def command(config: Config) -> str:
    """Return the command that repeats a run: the flags that are not the default ones."""
    words = ["python", "-m", "jaxconv.train"]
    usual = Config()
    for name, value in vars(config).items():
        if value == getattr(usual, name) or name in ("out", "resume", "verify_gradients"):
            continue
        words += [flag(name)] if value is True else [flag(name), str(value)]
    return shlex.join(words)


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(header: Iterable[object], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>'


def _cell(value: object) -> str:
    return f"<td>{_text(value)}</td>"


def _shaded(value: object, share: float) -> str:
    return f'<td style="background: rgba(var(--bar), {share:.2f})">{_text(value)}</td>'


def _curves(epochs: Sequence[Epoch], best: Epoch) -> str:
    """Return loss, accuracy and learning rate over the epochs, as one SVG."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    curves = (
        ("loss", True, (("train", "loss"), ("held out", "test_loss"))),
        ("accuracy", False, (("train", "train_accuracy"), ("held out", "test_accuracy"))),
        ("learning rate", False, (("", "learning_rate"),)),
    )
    for axes, (title, logarithmic, lines) in zip(panels, curves, strict=True):
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


def _classes(held: _Held, names: Sequence[str]) -> str:
    """Return accuracy by class and the confusion matrix, in one table."""
    matrix = confusion(held.probabilities, held.labels, len(names))
    rows = []
    for i, name in enumerate(names):
        total = int(matrix[i].sum())
        accuracy = f"{matrix[i, i] / total:.1%}" if total else "–"
        taken = (
            _shaded(n if n else "·", float(n) / max(1, total) * 0.8) for n in matrix[i].tolist()
        )
        rows.append([_cell(name), _cell(f"{total:,}"), _cell(accuracy), *taken])
    return _table(["class", "images", "accuracy", *(f"→ {name}" for name in names)], rows)


def _mistakes(held: _Held, names: Sequence[str]) -> str:
    """Return the images of which the network was surest and wrong."""
    found = np.argmax(held.probabilities, axis=1)
    wrong = np.flatnonzero(found != held.labels)
    surest = wrong[np.argsort(-held.probabilities[wrong, found[wrong]], kind="stable")][:MISTAKES]
    if not len(surest):
        return "<p>There is none.</p>"
    return "".join(
        _figure(
            held.images[i],
            f"{names[held.labels[i]]}, taken for {names[found[i]]}"
            f" ({held.probabilities[i, found[i]]:.0%})",
        )
        for i in surest
    )


def _first(config: Config, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images of the first epoch, moved as in its first step, and their labels."""
    order = shuffled(config, 1, len(dataset.train_labels))
    chosen = order[: min(BATCH, config.batch_size)]
    images = as_floats(jnp.asarray(dataset.train_images[chosen]))
    if config.shift:
        key = jax.random.fold_in(jax.random.key(config.seed + 1), 0)
        size = min(config.batch_size, len(order))
        moves = draw_moves(key, size, config.shift)[: len(chosen)]
        images = moved(images, moves, config.shift)
    return np.asarray(images), dataset.train_labels[chosen]


def _batch(config: Config, dataset: Dataset) -> str:
    images, labels = _first(config, dataset)
    return "".join(
        _figure(image, dataset.class_names[label])
        for image, label in zip(images, labels, strict=True)
    )


def _layers(network: TrainedNetwork, held: _Held, folder: Path) -> str:
    """Return the filters and feature maps of the first held-out image, and what it is taken for."""
    found = int(np.argmax(held.probabilities[0]))
    said = (
        f"<p>The first held-out image is {_text(network.classes[held.labels[0]])}, and is taken for"
        f" {_text(network.classes[found])} ({held.probabilities[0, found]:.1%}).</p>"
    )
    path = folder / "layers.png"
    if not path.exists():
        return said
    return (
        said + f'<img class="plot" alt="filters and feature maps" src="{_data(path.read_bytes())}">'
    )


def _gradients(config: Config, dataset: Dataset, params: Params) -> str:
    """Return the norms of the gradients of the first batch, and of the parameters."""
    images, labels = (jnp.asarray(a) for a in _first(config, dataset))
    model = MODELS[config.model]

    @jax.jit
    def gradient(params: Params) -> Params:
        return jax.grad(lambda p: loss_and_counts(model, jaxconv, p, images, labels)[0])(params)

    slopes = gradient(params)
    norms = [
        (
            f"{layer}.{name}",
            float(jnp.linalg.norm(slopes[layer][name])),
            float(jnp.linalg.norm(leaf)),
        )
        for layer, leaves in params.items()
        for name, leaf in leaves.items()
    ]
    most = max(norm for _, norm, _ in norms) or 1.0
    rows = [
        [_cell(name), _shaded(f"{norm:.3g}", 0.8 * norm / most), _cell(f"{size:.3g}")]
        for name, norm, size in norms
    ]
    return _table(["parameter", "norm of its gradient", "norm"], rows)


def _settings(config: Config) -> str:
    from jaxconv.train.record import environment

    known = {**vars(config), "weight_decay": config.decay, **environment()}
    return _table(
        ["setting", ""],
        ([_cell(name), _cell("–" if value is None else value)] for name, value in known.items()),
    )


def _figure(image: np.ndarray, caption: str) -> str:
    """Return an image with a line below it."""
    height, width = image.shape[:2]
    times = max(1, -(-THUMBNAIL // max(height, width)))
    picture = Image.fromarray(_bytes(image))
    written = io.BytesIO()
    picture.save(written, format="png")
    return (
        f'<figure><img class="right" alt="" width="{width * times}" height="{height * times}"'
        f' src="{_data(written.getvalue())}"><figcaption>{_text(caption)}</figcaption></figure>'
    )


def _bytes(image: np.ndarray) -> np.ndarray:
    """Return an image as bytes: (H, W) of one channel or of a number that is no colour, or RGB."""
    colours = image if image.shape[-1] == 3 else image[..., 0]
    if colours.dtype == np.uint8:
        return colours
    low, high = min(0.0, float(colours.min())), max(1.0, float(colours.max()))
    return np.round(255 * (colours - low) / (high - low)).astype(np.uint8)


def _data(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()
