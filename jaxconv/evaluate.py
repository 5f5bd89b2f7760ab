"""Try a trained network on a data set.

python -m jaxconv.evaluate RUN [--dataset D] [--skip-bad]
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxconv._core.command import Parser
from jaxconv._core.extras import MissingExtraError, needs


def main(arguments: Sequence[str] | None = None) -> None:
    """Print accuracy, accuracy by class, and the confusion matrix."""
    parser = Parser(prog="jaxconv.evaluate", description="Try a trained network on a data set.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the output folder of a training run")
    parser.add_argument(
        "--dataset",
        metavar="D",
        help="as in training, where the held-out images are used; by default the data set of the"
        " run, with its `test` if it was kept for the end",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out pictures that cannot be read"
    )
    options = parser.parse_args(arguments)
    try:
        with needs("train"):
            from rich.console import Console

            from jaxconv.train import data, record
            from jaxconv.train.trained import confusion, load_run
        network = load_run(options.run)
        config = record.begun(options.run)
        if options.dataset and options.dataset != config.dataset:
            config = dataclasses.replace(config, dataset=options.dataset, data_dir=None)
        if options.skip_bad:
            config = dataclasses.replace(config, skip_bad=True)
        height, width, _ = network.image_shape
        if height == width and Path(config.dataset).is_dir():
            config = dataclasses.replace(config, image_size=height)
        dataset = data.load(config)
        numbers = _numbers(config.dataset, dataset.class_names, network.classes)
    except (ValueError, OSError, MissingExtraError) as error:
        parser.error(str(error))
    images, labels = dataset.last or dataset[2:4]
    if images.shape[1:] != network.image_shape:
        parser.error(
            f"{config.dataset}: images are {images.shape[1:]}, but those of the run were"
            f" {network.image_shape}"
        )
    matrix = confusion(network.probabilities(images), numbers[labels], len(network.classes))
    console = Console(highlight=False, markup=False, emoji=False)
    for line in report(matrix, network.classes):
        console.print(line)


def _numbers(place: str, there: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Return the number that the network has for each class of a data set."""
    for name in there:
        if name not in known:
            raise ValueError(f"{place}: the network was not trained on the class {name}")
    return np.array([known.index(name) for name in there])


def report(matrix: np.ndarray, classes: Sequence[str]) -> list[object]:
    """Return the lines and tables to print."""
    with needs("train"):
        from rich.table import Table

        from jaxconv.train.trained import MOST_CLASSES
    right, total = int(np.trace(matrix)), int(matrix.sum())
    lines: list[object] = [f"accuracy {right / total:.2%} ({right:,} of {total:,} images)"]
    by_class = Table("class", "images", "right", "accuracy", "most often taken for")
    for i, name in enumerate(classes):
        count, own = int(matrix[i].sum()), int(matrix[i, i])
        others = np.where(np.arange(len(classes)) == i, 0, matrix[i])
        worst = int(np.argmax(others))
        taken = f"{classes[worst]} ({others[worst]})" if others[worst] else ""
        share = f"{own / count:.2%}" if count else "none"
        by_class.add_row(name, f"{count:,}", f"{own:,}", share, taken)
    lines.append(by_class)
    if len(classes) <= MOST_CLASSES:
        grid = Table(
            "class",
            *classes,
            title="confusion matrix: what the images of each class are taken for",
            title_justify="left",
        )
        for name, row in zip(classes, matrix, strict=True):
            grid.add_row(name, *(f"{n:,}" if n else "·" for n in row))
        lines.append(grid)
    return lines


if __name__ == "__main__":
    main()
