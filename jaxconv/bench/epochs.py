"""Compare epochs of training with PyTorch and with autodiff: `python -m jaxconv.bench.epochs`.

Each contestant trains the same network, from the same parameters, on the same random images of
32 × 32 pixels in three channels, with AdamW and a cosine schedule. The contestants take turns, and
the median epoch of each is reported. For ours, the compiled steps are also timed alone; the rest of
an epoch is the time that the training program adds.
"""

import argparse
import importlib
import math
import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxconv.bench.pytorch import TorchOps, as_torch, is_installed
from jaxconv.models import find
from jaxconv.train import Config
from jaxconv.train.batch import shuffled
from jaxconv.train.changes import NONE
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.step import Seen
from jaxconv.train.trainer import Trainer

MODELS = ("lenet", "resnet20", "mobilenetv2")
IMAGES, BATCH, CLASSES = 2048, 64, 10
SHAPE = (32, 32, 3)

Epoch = Callable[[], object]


class Times(NamedTuple):
    """Seconds of a contestant.

    Attributes:
        epoch: the median epoch.
        steps: as many of its compiled steps alone; NaN if they were not timed.
    """

    epoch: float
    steps: float = math.nan


def main(arguments: list[str] | None = None) -> None:
    """Time all networks and print a table."""
    parser = argparse.ArgumentParser(prog="python -m jaxconv.bench.epochs", description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    options = parser.parse_args(arguments)
    print("network | gradients | epoch, s | images/s | steps alone, s | the rest")
    for model in options.models:
        for name, times in measured(model, options.rounds).items():
            rest = f"{1 - times.steps / times.epoch:.1%}" if times.steps == times.steps else ""
            print(
                f"{model} | {name} | {times.epoch:.2f} | {IMAGES / times.epoch:,.0f}"
                f" | {times.steps:.2f} | {rest}",
                flush=True,
            )


def measured(model: str, rounds: int) -> dict[str, Times]:
    """Return the times of each contestant on this network."""
    dataset = _dataset()
    ours, steps = _ours(model, "hand", dataset)
    epochs = {"jaxconv": ours, "steps": steps, "autodiff": _ours(model, "autodiff", dataset)[0]}
    if is_installed():
        epochs["PyTorch"] = _theirs(model, dataset, fused=False)
        epochs |= _compiled(model, dataset)
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds + 1):  # the first round is a warm-up
        for name, run in epochs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    alone = medians.pop("steps")
    return {
        name: Times(median, alone if name == "jaxconv" else math.nan)
        for name, median in medians.items()
    }


def _compiled(model: str, dataset: Dataset) -> dict[str, Epoch]:
    """Return an epoch of torch.compile, if it works on this machine."""
    epoch = _theirs(model, dataset, fused=True)
    try:
        epoch()
    except Exception as error:  # a compiler may be missing, or the network too much for it
        print(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
        return {}
    return {"PyTorch, compiled": epoch}


def _dataset() -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, *SHAPE), np.uint8)
    labels = random.integers(0, CLASSES, IMAGES).astype(np.int32)
    return Dataset(images, labels, images[:BATCH], labels[:BATCH], CLASSES)


def _config(model: str, gradients: Any) -> Config:
    fields: Any = {"recipe": "none", **NONE}
    return Config(model=model, batch_size=BATCH, epochs=1000, gradients=gradients, **fields)


class _Never:
    """No checkpoints."""

    is_due = False


def _ours(model: str, gradients: str, dataset: Dataset) -> tuple[Epoch, Epoch]:
    """Return an epoch of the training program, without its evaluation, and its steps alone."""
    config = _config(model, gradients)
    trainer = Trainer(config, dataset, Seen())
    trainer.compile()
    walk, start = trainer.walk, trainer.start
    batches = list(walk.feed.batches(shuffled(config, 1, IMAGES)))
    never: Any = _Never()

    def steps() -> object:
        after = start.after
        for taken, batch in enumerate(batches):
            after, counts = walk.step(after, batch, walk.key, taken)
        return jax.block_until_ready((after, counts))

    return lambda: walk.to_the_end(start, never, lambda: None), steps


def _theirs(model: str, dataset: Dataset, *, fused: bool) -> Epoch:
    """Return an epoch in PyTorch: the same network, optimiser and batches."""
    torch: ModuleType = importlib.import_module("torch")
    network, ops, key = find(model), TorchOps(), jax.random.key(0)
    params, state = network.init(key, image_shape=SHAPE, classes=CLASSES)
    leaves, tree = jax.tree.flatten(params)
    held = [as_torch(w, "cpu", kernel=w.ndim > 1).requires_grad_() for w in leaves]
    params = jax.tree.unflatten(tree, held)
    state = jax.tree.map(lambda leaf: as_torch(leaf, "cpu"), state)
    optimizer = torch.optim.AdamW(held, lr=Config().learning_rate)
    images, labels = (as_torch(np.asarray(array), "cpu") for array in dataset[:2])

    def loss_of(params: Any, state: Any, x: Any, y: Any) -> Any:
        x = (x.float() / 255).movedim(1, -1)
        logits, state = network.apply(params, state, x, train=True, key=key, ops=ops)
        return ops.softmax_cross_entropy(logits, y), state, (logits.argmax(1) == y).sum()

    run = torch.compile(loss_of, dynamic=False) if fused else loss_of

    def epoch() -> object:
        nonlocal state
        told = []
        for places in torch.randperm(IMAGES).split(BATCH):
            loss, state, correct = run(params, state, images[places], labels[places])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            told.append((loss.detach(), correct))
        return [(float(loss), int(correct)) for loss, correct in told]

    return epoch


if __name__ == "__main__":
    main()
