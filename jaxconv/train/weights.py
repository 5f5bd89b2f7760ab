"""What a run starts from instead of random numbers, with `--weights`."""

from jaxconv.convert.start import Start, start
from jaxconv.models import find
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset


def given(config: Config, dataset: Dataset) -> Start | None:
    """Return what the file of `config.weights` has; None if the run needs no such file.

    A run to resume has all that it needs in its checkpoint, once there is one.

    Raises:
        ValueError: the file does not fit the network, or cannot be read.
    """
    if config.weights is None or (config.resume and Checkpoints(config.resume).step):
        return None
    shape = dataset.train_images.shape[1:]
    try:
        return start(config.weights, config.model, find(config.model), shape, dataset.classes)
    except OSError as error:
        raise ValueError(f"--weights {config.weights}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"--weights {error}") from None
