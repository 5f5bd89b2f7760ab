"""Classify pictures with a trained network.

python -m jaxconv.predict RUN PICTURE… [--top K] [--csv FILE]
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxconv._core.command import Parser, count, new_file
from jaxconv._core.extras import MissingExtraError, needs
from jaxconv._core.files import replacing

if TYPE_CHECKING:
    from jaxconv.train.trained import Prediction, TrainedNetwork


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the most probable classes of each picture; None means the arguments of the process.

    Pictures that cannot be read are named at the end, and the process exits with 2.
    """
    parser = Parser(prog="jaxconv.predict", description="Classify pictures with a trained network.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the output folder of a training run")
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURE", help="a picture, or a folder of them"
    )
    parser.add_argument(
        "--top",
        type=count(1),
        default=3,
        metavar="K",
        help="print the K most probable classes (default 3)",
    )
    parser.add_argument(
        "--csv", type=new_file, metavar="FILE", help="write the probabilities of all classes"
    )
    options = parser.parse_args(arguments)
    try:
        with needs("train"):
            from jaxconv.train.trained import load_run
        network = load_run(options.run)
        images, bad = _read(network, _files(options.pictures))
        paths, predictions = list(images), network.predict(images.values())
        if options.csv:
            _write(options.csv, network, paths, predictions)
    except (ValueError, OSError, MissingExtraError) as error:
        parser.error(str(error))
    for path, prediction in zip(paths, predictions, strict=True):
        print(f"{path}: {prediction.first(options.top)}")
    for what in dict.fromkeys(bad):
        print(f"predict: {what}", file=sys.stderr)
    if bad:
        sys.exit(2)


def _files(given: Sequence[Path]) -> Iterator[Path]:
    """Yield each picture, and for a folder all pictures in it and in the folders below.

    Raises:
        ValueError: a path does not exist, or a folder holds no pictures.
    """
    from jaxconv.train.data.folder import pictures_below

    for path in given:
        if not path.exists():
            raise ValueError(f"{path} does not exist")
        if not path.is_dir():
            yield path
            continue
        inside = list(pictures_below(path))
        if not inside:
            raise ValueError(f"{path} holds no pictures")
        yield from inside


def _read(
    network: "TrainedNetwork", paths: Iterable[Path]
) -> tuple[dict[Path, np.ndarray], list[str]]:
    """Return the pictures as the network sees them, and what is wrong with those left out."""
    images, bad = dict[Path, np.ndarray](), list[str]()
    for path in paths:
        try:
            images[path] = network.image(path)
        except ValueError as error:
            bad.append(str(error))
    return images, bad


def _write(
    path: Path,
    network: "TrainedNetwork",
    paths: Sequence[Path],
    predictions: Sequence["Prediction"],
) -> None:
    """Write a table with a row for each picture and a column for each class."""
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "class", *network.classes])
        for picture, prediction in zip(paths, predictions, strict=True):
            by_class = dict(zip(*prediction, strict=True))
            row = [f"{by_class[name]:.6g}" for name in network.classes]
            writer.writerow([picture, prediction.classes[0], *row])


if __name__ == "__main__":
    main()
