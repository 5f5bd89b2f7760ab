"""Ask a trained network about pictures.

python -m jaxconv.predict RUN PICTURE… [--top K] [--csv FILE]
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxconv._core.command import Parser, count, new_file
from jaxconv._core.extras import MissingExtraError, needs
from jaxconv._core.files import replacing

if TYPE_CHECKING:
    from jaxconv.train.trained import Prediction, TrainedNetwork


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the most probable classes of each picture; None means the arguments of the process."""
    parser = Parser(prog="jaxconv.predict", description="Ask a trained network about pictures.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the output folder of a training run")
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURE", help="a picture, or a folder of them"
    )
    parser.add_argument(
        "--top", type=count(1), default=3, metavar="K", help="print this many classes (default 3)"
    )
    parser.add_argument(
        "--csv", type=new_file, metavar="FILE", help="write the probabilities of all classes"
    )
    options = parser.parse_args(arguments)
    try:
        with needs("train"):
            from jaxconv.train.trained import load_run
        network = load_run(options.run)
        paths = list(_files(options.pictures))
        predictions = network.predict(paths)
        if options.csv:
            _write(options.csv, network, paths, predictions)
    except (ValueError, OSError, MissingExtraError) as error:
        parser.error(str(error))
    for path, prediction in zip(paths, predictions, strict=True):
        print(f"{path}: {prediction.first(options.top)}")


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
