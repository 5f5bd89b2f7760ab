"""What a training run is."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a ConvNet whose gradients are written by hand. With no flag: on handwritten digits."""

    dataset: Literal["digits", "mnist", "fashion-mnist"] = "digits"
    """digits: 1,797 images of 8×8, bundled with scikit-learn, a fixed fifth of them held out.
    mnist, fashion-mnist: 70,000 of 28×28, from the four IDX files in --data-dir."""
    data_dir: Path | None = None
    """Folder of the data set's files; digits needs none."""
    model: Literal["convnet", "lenet", "demystified"] = "convnet"
    """One of jaxconv.models."""
    epochs: int = 40
    """Passes over the training images."""
    batch_size: int = 32
    """Images a step. The last step of an epoch takes what is left."""
    optimizer: Literal["sgd", "momentum", "adam", "adamw"] = "adamw"
    """momentum is sgd with momentum 0.9."""
    learning_rate: float = 2e-3
    """Size of the first step."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on: down to 0 along half a cosine, or not at all."""
    weight_decay: float | None = None
    """Adds this times w to the gradient of every kernel, no bias; with adamw it shrinks w
    itself. Left out: 0.05 with adamw, 0 with the others."""
    shift: int = 1
    """Move each training image by up to so many pixels up, down, left and right, at random."""
    gradients: Literal["hand", "autodiff"] = "hand"
    """The hand-written backward passes, or JAX's own of the twin."""
    verify_gradients: bool = False
    """First compare the two on the first batch, leaf by leaf."""
    seed: int = 0
    """Of the initial parameters, the order of the images and their shifts."""
    out: Path | None = None
    """Output folder; must be new or empty. Left out: a new one in runs/."""

    @property
    def decay(self) -> float:
        """The weight decay that is used: `weight_decay`, or what its optimiser starts from."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.05 if self.optimizer == "adamw" else 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that mean nothing."""
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("shift", 0), ("seed", 0)):
            if getattr(self, name) < minimum:
                raise ValueError(
                    f"{_flag(name)} must be at least {minimum}, not {getattr(self, name)}"
                )
        if self.seed >= 2**32:  # of more, JAX takes only the last 32 bits
            raise ValueError(f"--seed must be below 2**32, not {self.seed}")
        if not self.learning_rate > 0:
            raise ValueError(f"--learning-rate must be above 0, not {self.learning_rate}")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise ValueError(f"--weight-decay must not be negative, not {self.weight_decay}")
        for name in ("learning_rate", "weight_decay"):
            if getattr(self, name) == math.inf:
                raise ValueError(f"{_flag(name)} must be finite, not inf")
        if self.dataset != "digits" and self.data_dir is None:
            raise ValueError(f"--dataset {self.dataset} needs --data-dir, the folder of its files")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
