"""A training run, from loading the data to the summary."""

import dataclasses
import importlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing
from jaxconv.models import MODELS, Model, Params
from jaxconv.train import data, devices, pictures, record, report, verify
from jaxconv.train.batch import NO_IMAGE, as_floats, shuffled, take
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.optimizer import make_optimizer, schedule_of
from jaxconv.train.record import Epoch
from jaxconv.train.step import Counts, compiled, make_evaluation, make_step

with needs("train"):
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Table

    importlib.import_module("safetensors")  # used at the end: too late to miss it


RESULTS = ("params.safetensors", "curves.png", "layers.png", "report.html")
"""What a run writes in the end."""

MOST_NAMED = 20
"""As many classes are named at the beginning."""

LATER = 8
"""Once in this many steps, the loss of the first of them is tested, which has been computed by
then, so that no step waits. A loss that is not finite makes the parameters NaN, and so all later
losses."""


class DivergedError(Exception):
    """The loss became NaN or infinite in a step.

    Attributes:
        batch: the images and labels of the step.
        before: the parameters and the state of the optimiser before it.
    """

    def __init__(self, message: str, batch: Any = None, before: Any = None) -> None:
        super().__init__(message)
        self.batch, self.before = batch, before


class Result(NamedTuple):
    """The result of a run."""

    folder: Path
    params: Params
    epochs: list[Epoch]
    interrupted: bool


class After(NamedTuple):
    """The state of training after an epoch: all that a step changes."""

    params: Params
    state: object


class _Step(NamedTuple):
    """A step: its batch, the state of training after it, and what it counted."""

    indices: np.ndarray
    after: After
    counts: Counts


def run(config: Config, console: Console | None = None) -> Result:
    """Train as `config` says, print a line for each epoch, and fill the output folder.

    If it is interrupted (KeyboardInterrupt), it saves the results of the finished epochs.

    Raises:
        ValueError: the data set, the devices or the output folder are not as expected.
        DivergedError: the loss became NaN or infinite in a step, whose batch is saved.
        GradientMismatchError: with `verify_gradients`, hand-written and JAX's gradients differ.
    """
    console = console or Console(highlight=False, markup=False, emoji=False)
    devices.check(config)
    if config.resume is not None:
        record.check_goes_on(config)
    dataset = data.load(config)
    if config.resume is not None:
        record.check_same_data(config, dataset)
    fitting = _fitting(config, dataset)
    folder = config.resume or record.make_folder(config)
    with record.locked(folder):
        return _run(config, fitting, console, dataset, folder)


def _run(
    asked: Config, config: Config, console: Console, dataset: data.Dataset, folder: Path
) -> Result:
    """Train as `config` says, and fill the folder; `asked` is what the user has asked for."""
    model = MODELS[config.model]
    shape = dataset.train_images.shape[1:]
    params = model.init(jax.random.key(config.seed), image_shape=shape, classes=dataset.classes)
    optimizer = make_optimizer(config, config.epochs * _steps(config, dataset))
    checkpoints = Checkpoints(folder)
    after = devices.on_all(config, After(params, optimizer.init(params)))
    epochs: list[Epoch] = []
    if config.resume is not None:
        epochs, after = _so_far(config, checkpoints, after)
    record.save_config(folder / "config.json", asked)
    record.save_data(folder / record.DATA, config, dataset)
    for note in dataset.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(_headline(config, dataset, params))
    if dataset.names:
        console.print(_named_classes(dataset), soft_wrap=True)
    if epochs:
        console.print(f"{len(epochs)} of {config.epochs} epochs are done")
    if config.verify_gradients:
        _verify(config, console, model, params, dataset)

    interrupted = False
    done = config.epochs if _has_stalled(config, epochs) else len(epochs)
    try:
        with _progress(console) as progress:
            task = progress.add_task("compiling", total=None)
            for epoch, then in _train(
                config, model, optimizer, after, dataset, done, progress, task
            ):
                epochs.append(epoch)
                after = then
                if record.best_of(epochs) is epoch:
                    record.save_params(folder / record.BEST, after.params)
                record.save_metrics(folder / "metrics.csv", epochs)
                progress.console.print(_line(epoch, config))
                checkpoints.save(len(epochs), after)
                if _has_stalled(config, epochs):
                    break
    except DivergedError as error:
        record.save_diverged(folder / record.DIVERGED, error.batch, error.before)
        raise DivergedError(
            f"{error}; {folder / record.DIVERGED} has its batch and what was learnt before it;"
            " a smaller --learning-rate may help"
        ) from None
    except KeyboardInterrupt:
        interrupted = True
        console.print(
            f"interrupted after {len(epochs)} of {config.epochs} epochs;"
            f" to continue: --resume {folder}",
            soft_wrap=True,  # so that the path can be copied
        )

    if _has_stalled(config, epochs):
        console.print(
            f"stopped: the accuracy on the held-out images has not risen for {config.patience}"
            f" epochs; the best was {record.best_of(epochs).test_accuracy:.2%} after epoch"
            f" {record.best_of(epochs).epoch}"
        )
    if epochs:
        checkpoints.save(len(epochs), after, now=True)
        record.save_params(folder / "params.safetensors", after.params)
        best = folder / record.BEST
        shown = record.load_params(best) if best.exists() else after.params
        image = as_floats(jnp.asarray(dataset.test_images[0]))
        with replacing(folder / "curves.png") as path:
            pictures.draw_curves(path, epochs, config)
        with replacing(folder / "layers.png") as path:
            pictures.draw_layers(path, model, shown, image)
        with replacing(folder / "report.html") as path:
            page = report.make_report(asked, dataset, shown, epochs, folder)
            path.write_text(page, encoding="utf-8")
        console.print(_summary(config, dataset, epochs, folder))
        console.print(_next_commands(folder), soft_wrap=True)
    return Result(folder, after.params, epochs, interrupted)


def _so_far(config: Config, checkpoints: Checkpoints, start: After) -> tuple[list[Epoch], After]:
    """Return the epochs and state of the run to resume; `start` if it has saved no checkpoint."""
    done = checkpoints.epoch
    if done == 0:
        return [], start
    assert config.resume is not None
    if done > config.epochs or (done == config.epochs and _is_whole(config.resume)):
        raise ValueError(
            f"--resume {config.resume}: its {done} epochs are done; to continue, --epochs must be"
            f" more than {done}"
        )
    epochs = record.load_metrics(config.resume / "metrics.csv", done)
    return epochs, checkpoints.restore(start)


def _has_stalled(config: Config, epochs: Sequence[Epoch]) -> bool:
    """Return whether the accuracy has not risen for as many epochs as `patience` allows."""
    if config.patience is None or not epochs:
        return False
    best = max(epochs, key=lambda epoch: epoch.test_accuracy)
    return epochs[-1].epoch - best.epoch >= config.patience


def _fitting(config: Config, dataset: data.Dataset) -> Config:
    """Return the configuration with batches that are no larger than the data set.

    Raises:
        ValueError: images are moved by more than their size.
    """
    count, height, width, _ = dataset.train_images.shape
    if config.shift >= min(height, width):
        raise ValueError(
            f"--shift {config.shift} must be smaller than the images, {height} × {width}"
        )
    most = -(-count // config.devices) * config.devices
    return dataclasses.replace(config, batch_size=min(config.batch_size, most))


def _is_whole(folder: Path) -> bool:
    """Return whether a run has written all that it writes in the end."""
    return all((folder / name).exists() for name in RESULTS)


def _steps(config: Config, dataset: data.Dataset) -> int:
    """Return the number of steps per epoch."""
    return -(-len(dataset.train_images) // config.batch_size)


def _train(
    config: Config,
    model: Model,
    optimizer: Any,
    after: After,
    dataset: data.Dataset,
    done: int,
    progress: Progress,
    task: TaskID,
) -> Iterator[tuple[Epoch, After]]:
    """Train, and yield each epoch after the `done` ones with the state of training after it."""
    arrays = devices.on_all(config, tuple(map(jnp.asarray, dataset[:4])))
    train_images, train_labels, test_images, test_labels = arrays
    steps = _steps(config, dataset)
    rate = schedule_of(config, config.epochs * steps)
    key = devices.on_all(config, jax.random.key(config.seed + 1))
    indices = np.zeros(config.batch_size, np.int32)
    # Compile before the time is measured.
    step = make_step(config, model, optimizer)
    run_step = compiled(step, *after, train_images, train_labels, indices, key, 0)
    evaluate = make_evaluation(config, model)
    run_evaluation = compiled(evaluate, after.params, test_images, test_labels, indices)
    progress.reset(
        task, total=config.epochs * steps, completed=done * steps, description="training"
    )

    def taking(number: int, after: After) -> Iterator[_Step]:
        """Take the steps of an epoch, one after the other."""
        order = shuffled(config, number, len(train_images))
        for place, indices in enumerate(_batches(order, config)):
            taken = (number - 1) * steps + place
            *new, count = run_step(*after, train_images, train_labels, indices, key, taken)
            after = After(*new)
            yield _Step(indices, after, count)

    def stop_at(bad: int, number: int, start: After) -> NoReturn:
        """Take the steps before a bad one again, and raise with what it began from."""
        before = start
        for place, step in enumerate(taking(number, start)):
            if place == bad:
                break
            before = step.after
        batch = take(train_images, train_labels, jnp.asarray(step.indices))
        raise DivergedError(
            f"the loss is {float(step.counts.loss)} in step {bad + 1} of epoch {number}",
            batch,
            before,
        )

    for number in range(done + 1, config.epochs + 1):
        start, begun = time.perf_counter(), after
        counts: list[Counts] = []
        for step_taken in taking(number, begun):
            counts.append(step_taken.counts)
            after = step_taken.after
            progress.advance(task)
            if len(counts) % LATER == 0 and not _is_finite(counts[-LATER]):
                break
        for bad, count in enumerate(counts):
            if not _is_finite(count):
                stop_at(bad, number, begun)
        train = _sum(counts)
        seconds = time.perf_counter() - start
        in_order = np.arange(len(test_images), dtype=np.int32)
        test = _sum(
            run_evaluation(after.params, test_images, test_labels, indices)
            for indices in _batches(in_order, config)
        )
        yield (
            Epoch(
                epoch=number,
                loss=train.loss / train.images,
                train_accuracy=train.correct / train.images,
                test_accuracy=test.correct / test.images,
                images_per_second=train.images / seconds,
                test_loss=test.loss / test.images,
                learning_rate=float(rate((number - 1) * steps)),
            ),
            after,
        )


def _is_finite(count: Counts) -> bool:
    return math.isfinite(float(count.loss))


def _batches(order: np.ndarray, config: Config) -> Iterator[np.ndarray]:
    """Yield the order in batches of one size; the last is filled up with NO_IMAGE."""
    for start in range(0, len(order), config.batch_size):
        batch = order[start : start + config.batch_size]
        empty = config.batch_size - len(batch)
        yield np.pad(batch, (0, empty), constant_values=NO_IMAGE)


def _sum(counts: Iterable[Counts]) -> Counts:
    """Return the summed counts of many batches, as Python numbers."""
    return Counts(
        *(float(sum(column)) for column in zip(*jax.device_get(list(counts)), strict=True))
    )


def _verify(
    config: Config, console: Console, model: Model, params: Params, dataset: data.Dataset
) -> None:
    """Compare the gradients of the first batch and print the table; raise if they differ."""
    first = jnp.asarray(next(_batches(shuffled(config, 1, len(dataset.train_images)), config)))
    batch = take(jnp.asarray(dataset.train_images), jnp.asarray(dataset.train_labels), first)
    comparisons = verify.compare_gradients(model, params, *batch)
    table = Table(
        title="hand-written gradients against autodiff, first batch", title_justify="left"
    )
    table.add_column("parameter")
    table.add_column("shape")
    table.add_column("worst relative error\n(float64)", justify="right")
    table.add_column("float32 rounding\nhand", justify="right")
    table.add_column("\nautodiff", justify="right")
    for c in comparisons:
        errors = (f"{e:.1e}" for e in (c.worst, c.rounding, c.autodiff_rounding))
        table.add_row(c.name, "×".join(map(str, c.shape)), *errors)
    console.print(table)
    worst = verify.check(comparisons)
    console.print(f"worst relative error {worst.worst:.1e} ({worst.name}): the gradients agree")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _headline(config: Config, dataset: data.Dataset, params: Params) -> str:
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    narrow = "" if config.precision == "float32" else f" in {config.precision}"
    several = "" if config.devices == 1 else f"{config.devices} × "
    return (
        f"{config.model} ({size:,} parameters) on {config.title}:"
        f" {len(dataset.train_images):,} images to train on, {len(dataset.test_images):,} held out;"
        f" {config.gradients} gradients{narrow}, {several}{jax.devices()[0].device_kind}"
    )


def _named_classes(dataset: data.Dataset) -> str:
    """Return the classes that have names, with the numbers of their images to train on."""
    counts = np.bincount(dataset.train_labels, minlength=dataset.classes)
    named = [f"{name} ({n:,})" for name, n in zip(dataset.names, counts, strict=True)]
    more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return f"classes: {', '.join(named[:MOST_NAMED] + more)}"


def _line(epoch: Epoch, config: Config) -> str:
    return (
        f"epoch {epoch.epoch:{len(str(config.epochs))}}/{config.epochs}"
        f"  loss {epoch.loss:.4f}"
        f"  train {epoch.train_accuracy:7.2%}"
        f"  test {epoch.test_accuracy:7.2%}"
        f"  {epoch.images_per_second:9,.0f} images/s"
    )


def _next_commands(folder: Path) -> str:
    """Say what can be done with the trained network."""
    return (
        f"\nask it about a picture:  python -m jaxconv.predict {folder} PICTURE"
        f"\naccuracy by class:       python -m jaxconv.evaluate {folder}"
    )


def _summary(config: Config, dataset: data.Dataset, epochs: list[Epoch], folder: Path) -> Table:
    """Say what the run achieved, and where its files are."""
    last = epochs[-1]
    images = len(dataset.train_images)
    seconds = sum(images / epoch.images_per_second for epoch in epochs)
    correct = round(last.test_accuracy * len(dataset.test_images))
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row(
        "test accuracy",
        f"{last.test_accuracy:.2%} ({correct:,} of {len(dataset.test_images):,} held-out images)",
    )
    if dataset.last is not None:
        table.add_row("for the end", f"{len(dataset.last[1]):,} images: python -m jaxconv.evaluate")
    best = record.best_of(epochs)
    if best is not last:
        table.add_row(
            "best epoch", f"{best.epoch}: {best.test_accuracy:.2%}, which predict and evaluate take"
        )
    table.add_row("training loss", f"{last.loss:.4f}")
    table.add_row(
        "training time",
        f"{seconds:.1f} s without compiling, {len(epochs) * images / seconds:,.0f} images/s",
    )
    table.add_row("gradients", config.gradients)
    table.add_row(
        "written to", f"{folder}/  ({', '.join(sorted(p.name for p in folder.glob('[!.]*')))})"
    )
    return table
