"""What TensorBoard shows of a run."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.record import Epoch

FOLDER = "tensorboard"

TAGS = {
    "loss": "loss/train",
    "test_loss": "loss/held out",
    "train_accuracy": "accuracy/train",
    "test_accuracy": "accuracy/held out",
    "learning_rate": "learning rate",
    "images_per_second": "images per second",
}
"""Where TensorBoard shows what an epoch has measured."""


class Board:
    """A writer of the files that TensorBoard reads; unless it is wanted, it writes nothing."""

    def __init__(self, folder: Path, *, wanted: bool) -> None:
        self._writer: Any = None
        if wanted:
            with needs("tensorboard"):
                from tensorboardX import SummaryWriter
            self._writer = SummaryWriter(str(folder / FOLDER))

    def epoch(self, epoch: Epoch) -> None:
        """Show what an epoch has measured."""
        if self._writer is not None:
            for field, tag in TAGS.items():
                self._writer.add_scalar(tag, getattr(epoch, field), epoch.epoch)
            self._writer.flush()

    def picture(self, path: Path) -> None:
        """Show a picture under the name of its file."""
        if self._writer is not None:
            from PIL import Image

            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image(path.stem, pixels, dataformats="HWC")

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
