"""The page about a run: its sections, in order."""

from collections.abc import Sequence
from pathlib import Path

from jaxconv.models import Variables
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.first import first_batch
from jaxconv.train.record import Epoch, best_of
from jaxconv.train.report.batch import batch
from jaxconv.train.report.classes import classes
from jaxconv.train.report.curves import curves
from jaxconv.train.report.gradients import gradients
from jaxconv.train.report.headline import achieved, kept, optimistic
from jaxconv.train.report.held import Held
from jaxconv.train.report.layers import layers
from jaxconv.train.report.markup import STYLE, text
from jaxconv.train.report.mistakes import mistakes
from jaxconv.train.report.repeat import command, settings
from jaxconv.train.report.windows import windows
from jaxconv.train.step import Seen
from jaxconv.train.trained import TrainedNetwork


def make_report(
    config: Config,
    dataset: Dataset,
    seen: Seen,
    variables: Variables,
    epochs: Sequence[Epoch],
    folder: Path,
) -> str:
    """Return the page of a run.

    Args:
        config: the settings of the run.
        dataset: the images.
        seen: what the steps knew of the images as a whole.
        variables: what the network had learnt after the best epoch.
        epochs: all epochs so far.
        folder: the output folder, with the pictures that the run has drawn.
    """
    height, width, channels = dataset.train_images.shape[1:]
    network = TrainedNetwork(
        config, variables, dataset.class_names, (height, width, channels), seen.scale
    )
    first = first_batch(config, dataset, seen)
    images, labels = dataset.last or dataset[2:4]
    held = Held(images, labels, network.probabilities(images))
    best = best_of(epochs)
    parts = [
        f"<h1>{text(config.model)} on {text(config.title)}</h1>",
        f"<p>{achieved(dataset, epochs[-1], best)}"
        f" {len(dataset.train_labels):,} images to train on.</p>",
        "<p>This page shows the network after its best epoch, as predict and evaluate take it."
        f"{optimistic(dataset)}</p>",
        *(f"<p>Note: {text(note)}.</p>" for note in dataset.notes),
        "<h2>Curves</h2>",
        curves(epochs, best, config),
        "<h2>Classes</h2>",
        f"<p>Of the {len(labels):,} images that were {kept(dataset)}.</p>",
        classes(held, dataset.class_names),
        "<h2>The surest mistakes</h2>",
        mistakes(held, dataset.class_names),
        "<h2>A batch as the network saw it</h2>",
        batch(first, dataset.class_names),
        "<h2>What the layers compute</h2>",
        layers(network, held, folder),
        "<h2>Where their gradients come from</h2>",
        windows(config, variables, (height, width, channels), folder),
        "<h2>Gradients by layer</h2>",
        gradients(config, first, variables),
        "<h2>How to repeat it</h2>",
        f"<pre>{text(command(config, dataset))}</pre>",
        settings(config),
    ]
    title = f"{config.model} on {config.title}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{text(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
