"""The settings of a training run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxconv.train.limits import check


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a ConvNet whose gradients are written by hand; without flags, on handwritten digits."""

    dataset: str = "digits"
    """digits: 1,797 images of 8×8, bundled with scikit-learn, of which a fixed fifth is held out.
    mnist, fashion-mnist: 70,000 images of 28×28; cifar10: 60,000 colour images of 32×32.
    FILE.npz: arrays train_images, train_labels, test_images, test_labels (or x_train, y_train,
    …), or images and labels, of which a fifth of each class is held out.
    FOLDER: pictures in train/CLASS/… and val/CLASS/… or test/CLASS/…, or in CLASS/…, of which a
    fifth of each class is held out; with val, test is for the end. Or four files that are named
    and formatted like those of mnist."""
    data_dir: Path | None = None
    """Folder with the files of mnist, fashion-mnist or cifar10. Without it they are downloaded
    once, into the user's cache."""
    image_size: int | None = None
    """Scale and cut the pictures of a FOLDER to this height and width. Without it, pictures of one
    size keep it up to 128 × 128, and others become 64 × 64."""
    skip_bad: bool = False
    """Leave out the pictures of a FOLDER that cannot be read, and train on the others."""
    validation: int | None = None
    """Hold out this many of the training images, to choose settings by; the test images are then
    for the end, for evaluate."""
    memory: float | None = None
    """Gigabytes of images that may stay in memory; more of them are read from the disk while the
    network trains. Without it, a quarter of what is free."""
    model: str = "convnet"
    """A network by its name, which --list-models shows; or MODULE:NAME, one of your own."""
    list_models: bool = False
    """Print a table of all networks, with what they cost, and end."""
    weights: Path | None = None
    """Start from the parameters and the state in this safetensors file instead of random ones: of
    torchvision, of timm or of another run. A last layer for other classes starts new."""
    epochs: int = 40
    """Passes over the training images."""
    batch_size: int = 32
    """Images per step. The last step of an epoch takes the images that are left."""
    optimizer: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion"] = "adamw"
    """momentum and nesterov are sgd with momentum 0.9."""
    learning_rate: float = 2e-3
    """Learning rate of the first step."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate changes: it falls to 0 along half a cosine, or stays constant."""
    warmup: float = 0.0
    """Epochs in which the learning rate rises from 0 to --learning-rate, before the schedule."""
    clip: float | None = None
    """Scale the gradient of a step down to this norm, over all parameters, if it is larger."""
    label_smoothing: float = 0.0
    """This share of each label is spread over all classes."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """balanced: an image counts more the fewer there are of its class, N/(classes · images of the
    class)."""
    accumulate: int = 1
    """Compute the gradient of each batch in this many parts, one after the other. This takes less
    memory, and the gradient is the same up to rounding."""
    ema: float = 0.0
    """Evaluate and save a moving average of the parameters, of which each step keeps this share.
    The share is smaller in the first steps, (1 + step)/(10 + step). 0 means no average."""
    patience: int | None = None
    """Stop when the accuracy on the held-out images has not risen for this many epochs."""
    weight_decay: float | None = None
    """Adds this times w to the gradient of every kernel, but not of biases; with adamw and lion it
    shrinks w itself. The default is 0.05 with adamw and 0 with the others."""
    recipe: Literal[
        "auto",
        "none",
        "digits",
        "objects",
        "photographs",
        "mnist",
        "fashion-mnist",
        "cifar10",
        "fine-tune",
        "demystified",
    ] = "auto"
    """Settings by name; flags beside it change them. The first five decide only how the training
    images are changed at random. digits: shifted by 1 pixel. objects: shifted by an eighth of their
    size and flipped. photographs: cut, flipped and coloured. The last two are also normalised.
    auto: photographs for a FOLDER of pictures, objects for cifar10, digits for all others. The
    other five are whole: docs/recipes.md has their settings."""
    shift: int | None = None
    """Shift each training image by at most this many pixels in each direction."""
    flip: bool | None = None
    """Mirror every other training image, left to right."""
    crop: float | None = None
    """Cut out a part that has at least this share of the area, and scale it to the whole size."""
    rotate: float | None = None
    """Rotate by at most this many degrees."""
    color: float | None = None
    """Change brightness, contrast and saturation by at most this share."""
    cutout: int | None = None
    """Blank out a square of this side at a random place."""
    mixup: float | None = None
    """Mix each image and its label with another one, by a share from Beta(x, x)."""
    normalize: bool | None = None
    """Subtract the mean of each channel, and divide by its standard deviation; both are those of
    the training images."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The dtype that images, layers and their gradients are computed in; the loss, the stored
    parameters and the optimiser are float32."""
    gradients: Literal["hand", "autodiff"] = "hand"
    """hand: our backward passes; autodiff: JAX's gradients of the reference implementation."""
    verify_gradients: bool = False
    """Before training, compare both kinds of gradients on the first batch, for each parameter."""
    tensorboard: bool = False
    """Also write what TensorBoard shows, to tensorboard/ in the output folder."""
    devices: int = 1
    """Split each batch over this many devices. If there are only CPUs, as many CPU devices are made
    as you ask for. Several processes always use all the devices that they have."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes that train one network together; or auto, if they
    were started by Slurm, Open MPI or Kubernetes."""
    processes: int | None = None
    """How many processes there are, beside --coordinator HOST:PORT."""
    process_id: int | None = None
    """Which of them this one is: 0, 1, …"""
    seed: int = 0
    """Seed of the initial parameters, of the order of the images and of their random changes."""
    out: Path | None = None
    """Output folder, which must be new or empty. The default is a new folder in runs/."""
    resume: Path | None = None
    """Output folder of an interrupted run: the run continues from its last checkpoint, with its
    old settings. Only --epochs, --dataset, --data-dir, --devices, --memory, --tensorboard,
    --verify-gradients and the number of processes may change."""

    @property
    def title(self) -> str:
        """The name of the data set, without the folders that lead to it."""
        return Path(os.path.abspath(self.dataset)).stem

    @property
    def decay(self) -> float:
        """The weight decay that is used: `weight_decay`, or our default for the optimiser."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.05 if self.optimizer == "adamw" else 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for invalid settings."""
        check(self)
