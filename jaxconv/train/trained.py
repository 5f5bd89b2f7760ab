"""A trained network, loaded from the output folder of its run, and what it says of pictures."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.models import Variables, find
from jaxconv.train import record
from jaxconv.train.batch import OPS, as_floats
from jaxconv.train.config import Config
from jaxconv.train.data.blocks import Images
from jaxconv.train.normalize import Scale, normalized

PICTURE_CHANNELS = (1, 3)
"""A file of a picture can be shown to a network of images with as many channels."""

MOST_CLASSES = 20
"""With more classes a confusion matrix is too wide to be read."""

BATCH = 256
"""Images that are computed at once; the last batch is filled up, so that one program does."""


class Prediction(NamedTuple):
    """What a network says of one picture: its classes, the most probable one first."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    def first(self, count: int | None) -> "Prediction":
        """Return the `count` most probable classes; None means all."""
        return Prediction(self.classes[:count], self.probabilities[:count])

    def __str__(self) -> str:
        """Return the classes with their probabilities, as text."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return ", ".join(f"{name} {probability:.1%}" for name, probability in pairs)


class TrainedNetwork:
    """A trained network, with the classes that it knows.

    Attributes:
        config: the settings of the run.
        variables: the parameters and the state of the network.
        classes: the names of the classes.
        image_shape: height, width and channels of the images it was trained on.
        scale: the mean and deviation that it normalises images with; None if it does not.
    """

    def __init__(
        self,
        config: Config,
        variables: Variables,
        classes: Sequence[str],
        image_shape: tuple[int, int, int],
        scale: Scale | None = None,
    ) -> None:
        self.config = config
        self.variables = variables
        self.classes = tuple(classes)
        self.image_shape = image_shape
        self.scale = scale

    def predict(
        self, pictures: Iterable[str | Path | np.ndarray], top: int | None = None
    ) -> list[Prediction]:
        """Return for each picture its classes and their probabilities, the most probable one first.

        Args:
            pictures: paths of pictures, which are turned upright, scaled and cut as those of the
                training; or arrays (H, W, C) of the size that the network was trained on, of bytes
                or of floats in [0, 1].
            top: as many classes are returned; None means all.

        Raises:
            ValueError: a file is not a picture, or an array has another shape.
        """
        images = [self.image(picture) for picture in pictures]
        if not images:
            return []
        rows = self.probabilities(np.stack([np.asarray(as_floats(image)) for image in images]))
        orders = np.argsort(-rows, axis=1, kind="stable")
        return [
            Prediction(tuple(self.classes[i] for i in order), tuple(row[order].tolist())).first(top)
            for row, order in zip(rows, orders, strict=True)
        ]

    def image(self, picture: str | Path | np.ndarray) -> np.ndarray:
        """Return a picture as the network sees it: (H, W, C), bytes or floats.

        Raises:
            ValueError: the file is not a picture, or the array has another shape.
        """
        height, width, channels = self.image_shape
        if isinstance(picture, (str, Path)):
            if channels not in PICTURE_CHANNELS:
                raise ValueError(
                    f"predict: a picture has 1 or 3 channels, but the network was trained on images"
                    f" of {channels}: pass arrays of the shape {self.image_shape}"
                )
            return _from_file(Path(picture), (height, width), channels)
        array = np.asarray(picture)
        if array.shape == (height, width) and channels == 1:
            array = array[..., None]
        if array.shape != self.image_shape:
            raise ValueError(
                f"predict: pictures must have the shape {self.image_shape}, but got {array.shape}"
            )
        return array

    def probabilities(self, images: Images) -> np.ndarray:
        """Return the probability of each class, (N, classes), for images (N, H, W, C)."""
        rows = []
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            empty = ((0, BATCH - len(some)), *((0, 0),) * (some.ndim - 1))
            full = self._compiled(self.variables, np.pad(some, empty))
            rows.append(np.asarray(full)[: len(some)])
        return np.concatenate(rows) if rows else np.zeros((0, len(self.classes)), np.float32)

    @cached_property
    def _compiled(self) -> Callable[[Variables, np.ndarray], jax.Array]:
        model, precision = find(self.config.model), self.config.precision
        ops = OPS[self.config.gradients]

        def probabilities(variables: Variables, images: jax.Array) -> jax.Array:
            params, state = variables
            images = normalized(as_floats(images), self.scale)
            if precision == "bfloat16":
                params, images = jax.tree.map(
                    lambda leaf: leaf.astype(jnp.bfloat16), (params, images)
                )
            logits, _ = model.apply(params, state, images, train=False, ops=ops)
            return ops.softmax(logits.astype(jnp.float32))

        return jax.jit(probabilities)


def load_run(folder: str | Path, *, last: bool = False) -> TrainedNetwork:
    """Return the network that a run has trained, as it was after its best epoch.

    Example:
        network = load_run("runs/flowers")
        print(network.predict(["tulip.jpg"], top=3)[0])

    Args:
        folder: the output folder of the run.
        last: whether to take the parameters of the last epoch instead of those of the epoch with
            the best accuracy on the held-out images.

    Raises:
        ValueError: the folder is none of a run, or its run has saved no parameters yet.
    """
    folder = Path(folder)
    config, known = record.load_config(folder), record.load_data(folder)
    path = folder / "params.safetensors"
    if not path.exists():
        raise ValueError(
            f"{folder} has no {path.name}: the run has not ended; --resume {folder} finishes it"
        )
    if not last and (folder / record.BEST).exists():
        path = folder / record.BEST
    height, width, channels = known["image_shape"]
    shape = (height, width, channels)
    like = _shapes(config, shape, len(known["classes"]))
    variables = record.load_variables(path, like=like)
    return TrainedNetwork(config, variables, known["classes"], shape, record.scale_of_run(known))


def _shapes(config: Config, image_shape: tuple[int, int, int], classes: int) -> Variables:
    """Return the shapes of what the network of a run learns."""
    init = partial(find(config.model).init, image_shape=image_shape, classes=classes)
    return Variables(*jax.eval_shape(init, jax.random.key(0)))


def _from_file(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """Return the bytes of a picture in this size, with this many channels."""
    from jaxconv.train.data.picture import NoPictureError, read, with_channels

    try:
        return with_channels(read(path, size), channels)
    except NoPictureError as error:
        raise ValueError(f"{path} {error}") from None


def confusion(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of class i the network takes for class j, at [i, j]."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, np.argmax(probabilities, axis=1)), 1)
    return matrix
