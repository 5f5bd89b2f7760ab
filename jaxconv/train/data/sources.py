"""The choice of the data set that a run asks for."""

from pathlib import Path

from jaxconv.train.config import Config
from jaxconv.train.data import cifar10, digits, idx, npz
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.download import PUBLISHED, fetched
from jaxconv.train.data.memory import allowed
from jaxconv.train.data.split import with_validation

MNIST_CLASSES = 10

CLOTHES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""The classes of Fashion-MNIST, in the order of its labels."""


def load(config: Config) -> Dataset:
    """Return the data set that the configuration names.

    Raises:
        ValueError: a file is missing or malformed, or the name is unknown.
    """
    dataset = _named(config)
    if config.validation is None:
        return dataset
    where = f"--dataset {config.dataset}"
    return with_validation(where, dataset, config.validation, config.seed)


def _named(config: Config) -> Dataset:
    name = config.dataset
    if name == "digits":
        return digits.bundled()
    if name in PUBLISHED:
        folder = config.data_dir or fetched(name)
        if name == "cifar10":
            return cifar10.of_folder(folder)
        made = idx.of_folder(folder, MNIST_CLASSES)
        return made._replace(names=CLOTHES) if name == "fashion-mnist" else made
    path = Path(name)
    if config.image_size is not None and not path.is_dir():
        raise ValueError(f"--image-size is for a folder of pictures, but --dataset is {name}")
    if path.suffix.lower() == ".npz":
        return npz.of_file(path, config.seed, allowed(config.memory))
    if len(path.parts) > 1 and not path.exists():
        raise ValueError(f"--dataset {name} does not exist")
    if not name or not path.is_dir():
        raise ValueError(
            f"--dataset must be {', '.join(('digits', *PUBLISHED))}, an .npz file or a folder,"
            f" but got {name!r}"
        )
    if not has_pictures(name):
        return idx.of_folder(path)
    from jaxconv.train.data import pictures  # only this source needs Pillow

    return pictures.of_folder(
        path,
        side=config.image_size,
        skip_bad=config.skip_bad,
        seed=config.seed,
        memory=allowed(config.memory),
    )


def has_pictures(name: str) -> bool:
    """Return whether a data set is a folder of pictures, and not of files like those of mnist."""
    path = Path(name)
    if name in ("digits", *PUBLISHED) or not path.is_dir():
        return False
    return not (path / idx.names(idx.PARTS[0])[0]).exists()
