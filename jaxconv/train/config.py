"""What a training run is."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a ConvNet whose gradients are written by hand. With no flag: on handwritten digits."""

    dataset: str = "digits"
    """digits: 1,797 images of 8×8, bundled with scikit-learn, a fixed fifth of them held out.
    mnist, fashion-mnist: 70,000 of 28×28; cifar10: 60,000 of 32×32 in colour.
    FILE.npz: arrays train_images, train_labels, test_images, test_labels (or x_train, y_train,
    …), or images and labels, of which a fifth is held out.
    FOLDER: of pictures, train/CLASS/… and test/CLASS/…, or CLASS/…; or the four files of another
    MNIST."""
    data_dir: Path | None = None
    """Folder of the files of mnist, fashion-mnist or cifar10. Left out: they are fetched, once,
    into the user's cache."""
    model: Literal["convnet", "lenet", "demystified"] = "convnet"
    """One of jaxconv.models."""
    epochs: int = 40
    """Passes over the training images."""
    batch_size: int = 32
    """Images a step. The last step of an epoch takes what is left."""
    optimizer: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion"] = "adamw"
    """momentum and nesterov are sgd with momentum 0.9."""
    learning_rate: float = 2e-3
    """Size of the first step."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on: down to 0 along half a cosine, or not at all."""
    weight_decay: float | None = None
    """Adds this times w to the gradient of every kernel, no bias; with adamw and lion it shrinks
    w itself. Left out: 0.05 with adamw, 0 with the others."""
    shift: int = 1
    """Move each training image by up to so many pixels up, down, left and right, at random."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What images, layers and their gradients are computed in; the loss, the parameters that are
    kept and the optimiser are float32."""
    gradients: Literal["hand", "autodiff"] = "hand"
    """The hand-written backward passes, or JAX's own of the twin."""
    verify_gradients: bool = False
    """First compare the two on the first batch, leaf by leaf."""
    devices: int = 1
    """Share each batch among so many. Where there are CPUs only, they are as many as you say."""
    seed: int = 0
    """Of the initial parameters, the order of the images and their shifts."""
    out: Path | None = None
    """Output folder; must be new or empty. Left out: a new one in runs/."""
    resume: Path | None = None
    """Output folder of a run that was cut off: it goes on, as it was begun, from its last
    checkpoint. --epochs, --data-dir, --devices and --verify-gradients may be given anew."""

    @property
    def title(self) -> str:
        """The data set in a word, without the folders that lead to it."""
        return Path(os.path.abspath(self.dataset)).stem

    @property
    def decay(self) -> float:
        """The weight decay that is used: `weight_decay`, or what its optimiser starts from."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.05 if self.optimizer == "adamw" else 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that mean nothing."""
        least = {"epochs": 1, "batch_size": 1, "shift": 0, "devices": 1, "seed": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(
                    f"{flag(name)} must be at least {minimum}, not {getattr(self, name)}"
                )
        if self.seed >= 2**32:  # of more, JAX takes only the last 32 bits
            raise ValueError(f"--seed must be below 2**32, not {self.seed}")
        if not self.learning_rate > 0:
            raise ValueError(f"--learning-rate must be above 0, not {self.learning_rate}")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise ValueError(f"--weight-decay must not be negative, not {self.weight_decay}")
        for name in ("learning_rate", "weight_decay"):
            if getattr(self, name) == math.inf:
                raise ValueError(f"{flag(name)} must be finite, not inf")
        if self.batch_size % self.devices:
            raise ValueError(
                f"--batch-size {self.batch_size} cannot be shared by --devices {self.devices}"
            )


def flag(name: str) -> str:
    """How the command line calls a field."""
    return "--" + name.replace("_", "-")
