"""A training run, from loading the data to the summary."""

import dataclasses
import importlib
import os
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing
from jaxconv.convert.start import Start
from jaxconv.models import Params, Variables, find
from jaxconv.train import (
    changes,
    data,
    devices,
    listing,
    messages,
    pictures,
    processes,
    record,
    results,
    verify,
    weights,
)
from jaxconv.train.balance import seen_of
from jaxconv.train.board import Board
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.stored import Stored
from jaxconv.train.log import LOG, Log, progress
from jaxconv.train.points import DivergedError, Point, StoppedError
from jaxconv.train.record import Epoch
from jaxconv.train.step import Seen
from jaxconv.train.trainer import Trainer

with needs("train"):
    from rich.console import Console

    importlib.import_module("safetensors")  # used at the end: too late to miss it


class Result(NamedTuple):
    """The result of a run."""

    folder: Path
    variables: Variables
    epochs: list[Epoch]
    interrupted: bool

    @property
    def params(self) -> Params:
        """The parameters of the network."""
        return self.variables.params


def run(config: Config, console: Console | None = None) -> Result:
    """Train as `config` says, print a line for each epoch, and fill the output folder.

    If it is interrupted (KeyboardInterrupt), it saves where it is, and the results of the finished
    epochs.

    Raises:
        ValueError: the data set, the devices or the output folder are not as expected.
        DivergedError: the loss became NaN or infinite in a step, whose batch is saved.
        GradientMismatchError: with `verify_gradients`, hand-written and JAX's gradients differ.
    """
    console = console or Console(highlight=False, markup=False, emoji=False)
    devices.check(config)
    if config.resume is not None:
        config = record.going_on(config)
    dataset = data.load(config)
    fingerprint = dataset.fingerprint
    if config.resume is not None:
        record.check_same_data(config, dataset, fingerprint)
    config = changes.decided(config, dataset)
    _check_extras(config, dataset)
    _check_network(config, dataset)
    seen = seen_of(config, dataset)
    given = weights.given(config, dataset)
    folder = Path(processes.of_the_first(lambda: _folder(config)))
    first = processes.is_first()
    with record.locked(folder) if first else nullcontext(), processes.ending_if_lost(folder):
        made = _Run(_fitting(config, dataset), dataset, seen, folder, given)
        if first:
            record.save_config(folder / record.CONFIG, config)
            record.save_data(folder / record.DATA, config, dataset, fingerprint, seen.scale)
        path = folder / LOG if first else Path(os.devnull)
        with Log(console if first else Console(quiet=True), path) as log:
            return made.run(log)


def _folder(config: Config) -> str:
    return str(config.resume or record.make_folder(config))


def _check_extras(config: Config, dataset: Dataset) -> None:
    """Raise MissingExtraError now if a library is missing that is used later."""
    if config.tensorboard:
        with needs("tensorboard"):
            importlib.import_module("tensorboardX")
    if isinstance(dataset.train_images, Stored):
        with needs("stream"):
            importlib.import_module("grain")


def _check_network(config: Config, dataset: Dataset) -> None:
    """Raise ValueError now if the network cannot take images of this size."""
    height, width, channels = dataset.train_images.shape[1:]
    shape = (height, width, channels)
    init = partial(find(config.model).init, image_shape=shape, classes=dataset.classes)
    try:
        jax.eval_shape(init, jax.random.key(0))
    except ValueError as error:
        raise ValueError(
            f"--dataset {config.dataset}: {error}; height × width × channels are"
            f" {height} × {width} × {channels}"
        ) from None


def _fitting(config: Config, dataset: Dataset) -> Config:
    """Return the configuration with batches that are no larger than the data set."""
    parts = config.devices * config.accumulate
    most = -(-len(dataset.train_labels) // parts) * parts
    return dataclasses.replace(config, batch_size=min(config.batch_size, most))


class _Run:
    """A run, on its way."""

    log: Log

    def __init__(
        self, config: Config, dataset: Dataset, seen: Seen, folder: Path, given: Start | None
    ) -> None:
        self.config, self.dataset, self.seen, self.folder = config, dataset, seen, folder
        self.given = given
        self.trainer = Trainer(config, dataset, seen, given)
        self.checkpoints = Checkpoints(folder)
        self.point, self.epochs = self._beginning()

    def run(self, log: Log) -> Result:
        """Train to the end, or until the user stops it, and write the results."""
        self.log = log
        self.log.begin()
        self._introduce()
        interrupted = False
        try:
            self._train()
        except DivergedError as error:
            path = self.folder / record.DIVERGED
            if processes.is_first():
                record.save_diverged(path, error.batch, processes.here(error.before))
            raise DivergedError(
                f"{error}; {path} has its batch and what was learnt before it; a smaller"
                " --learning-rate may help"
            ) from None
        except KeyboardInterrupt:
            interrupted = True
            self.log.say(messages.interrupted(self._far(), self.folder))
        if self._has_stalled():
            self.log.say(messages.stalled(self.epochs, self.config))
        self.checkpoints.save(self.point.taken, self.point.tree)
        variables = processes.here(self.point.after.shown)
        if self.epochs and processes.is_first():
            self._write(variables)
        return Result(self.folder, variables, self.epochs, interrupted)

    def _write(self, variables: Variables) -> None:
        """Write the results, and say what they are and what can be done with them."""
        results.write(self.folder, self.config, self.dataset, self.seen, variables, self.epochs)
        self.log.say(messages.summary(self.config, self.dataset, self.epochs, self.folder))
        channels = self.dataset.train_images.shape[-1]
        self.log.say(messages.next_commands(self.folder, channels))

    def _beginning(self) -> tuple[Point, list[Epoch]]:
        """Return where the run begins, or goes on if it has saved a checkpoint, and its epochs."""
        taken, start = self.checkpoints.step, self.trainer.start
        if taken == 0:
            return start, []
        done, all_of_them = taken // self.trainer.steps, self.config.epochs * self.trainer.steps
        is_whole = taken == all_of_them and results.are_written(self.folder)
        if taken > all_of_them or is_whole:
            raise ValueError(
                f"--resume {self.folder}: all of its epochs are done; to continue, --epochs"
                f" must be more than {done}"
            )
        epochs = record.load_metrics(self.folder / record.METRICS, done)
        return Point(taken, *self.checkpoints.restore(start.tree)), epochs

    def _introduce(self) -> None:
        """Say what is trained, and compare its gradients if the user wants it."""
        for note in self.dataset.notes:
            self.log.say(f"note: {note}")
        variables = processes.here(self.trainer.start.after.variables)
        self.log.say(messages.headline(self.config, self.dataset, variables.params))
        if self.given:
            self.log.say(self.given.said)
        if self.dataset.names:
            self.log.say(messages.classes(self.dataset))
        self.log.say(messages.changes(self.config))
        if not self.point.taken:
            shape, classes = self.dataset.train_images.shape[1:], self.dataset.classes
            self.log.say(listing.layers(variables.params))
            self.log.say(listing.cost(self.config.model, shape, classes))
        if self.point.taken:
            self.log.say(f"{self._far()} are done")
        if self.config.verify_gradients:
            verify.verify(self.config, self.dataset, self.seen, variables, self.log)

    def _train(self) -> None:
        """Take all steps that are left, and say and save what every epoch achieved."""
        if self._is_done():
            return
        with (
            Board(self.folder, wanted=self._has_board()) as board,
            progress(self.log.console) as bar,
        ):
            task = bar.add_task("compiling", total=None)
            self.trainer.compile()
            if processes.is_first():
                with replacing(self.folder / pictures.BATCH) as path:
                    pictures.draw_batch(path, self.config, self.dataset, self.seen)
                board.picture(self.folder / pictures.BATCH)
            total = self.config.epochs * self.trainer.steps
            bar.reset(task, total=total, completed=self.point.taken, description="training")
            while not self._is_done():
                try:
                    self.point, epoch = self.trainer.finish_epoch(
                        self.point, self.checkpoints, lambda: bar.advance(task)
                    )
                except StoppedError as stopped:
                    self.point = stopped.point
                    raise KeyboardInterrupt from None
                stop = self._keep(epoch)
                board.epoch(epoch)
                if stop and not self._is_done():
                    raise KeyboardInterrupt

    def _keep(self, epoch: Epoch) -> bool:
        """Save and say what an epoch achieved, in an order that a kill cannot spoil.

        Returns:
            Whether the user wants the run to stop.
        """
        self.epochs.append(epoch)
        if processes.is_first():
            if record.best_of(self.epochs) is epoch:
                record.save_variables(self.folder / record.BEST, self.point.after.shown)
            record.save_metrics(self.folder / record.METRICS, self.epochs)
        self.log.say(messages.line(epoch, self.config))
        due, stop = processes.in_any(self.checkpoints.is_due, processes.stop_is_wanted())
        if due:
            self.checkpoints.save(self.point.taken, self.point.tree)
        return stop or self.trainer.stopped

    def _far(self) -> str:
        return messages.done(self.point.taken, self.trainer.steps, self.config)

    def _has_board(self) -> bool:
        return self.config.tensorboard and processes.is_first()

    def _is_done(self) -> bool:
        return len(self.epochs) >= self.config.epochs or self._has_stalled()

    def _has_stalled(self) -> bool:
        """Return whether the accuracy has not risen for as many epochs as `patience` allows."""
        if self.config.patience is None or not self.epochs:
            return False
        best = max(self.epochs, key=lambda epoch: epoch.test_accuracy)
        return self.epochs[-1].epoch - best.epoch >= self.config.patience
