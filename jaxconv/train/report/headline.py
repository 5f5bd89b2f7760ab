"""What a run has achieved, in sentences."""

from jaxconv.train.data.dataset import Dataset
from jaxconv.train.record import Epoch


def achieved(dataset: Dataset, last: Epoch, best: Epoch) -> str:
    """Return the accuracy after the last epoch, and that after the best one if it is another."""
    images = f"of {len(dataset.test_labels):,} held-out images"
    said = f"{last.test_accuracy:.2%} {images} after epoch {last.epoch:,}"
    if last.epoch == best.epoch:
        return f"{said}, which is the best." if last.epoch > 1 else f"{said}."
    return f"{said}; the best was {best.test_accuracy:.2%} after epoch {best.epoch:,}."


def optimistic(dataset: Dataset) -> str:
    """Return a sentence about the choice of the best epoch, if no part is kept for the end."""
    if dataset.last is not None:
        return ""
    return (
        " The best epoch is chosen on the held-out images, so that its accuracy is a little"
        " optimistic."
    )


def kept(dataset: Dataset) -> str:
    """Return what was done with the images that the page judges the network by."""
    return "held out" if dataset.last is None else "kept for the end"
