"""The epochs of a run: its network and its data, and steps that are compiled once."""

import time
from collections.abc import Callable

import jax
import numpy as np

from jaxconv.convert.start import Start
from jaxconv.models import Variables, find
from jaxconv.train import devices
from jaxconv.train.batch import steps_of
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.feed import feed_of
from jaxconv.train.loss import Counts
from jaxconv.train.optimizer import make_optimizer, schedule_of
from jaxconv.train.points import Point
from jaxconv.train.record import Epoch
from jaxconv.train.step import After, Seen, compiled, make_evaluation, make_step
from jaxconv.train.walk import Walk


class Trainer:
    """What trains the network of a run, epoch by epoch.

    Args:
        config: the settings of the run.
        dataset: its images.
        seen: what the steps know of the images as a whole.
        given: what the network starts from instead of random numbers.

    Attributes:
        steps: the number of steps of an epoch.
        start: the point before the first step.
        walk: the way through an epoch, after `compile`.
    """

    walk: Walk

    def __init__(
        self, config: Config, dataset: Dataset, seen: Seen, given: Start | None = None
    ) -> None:
        self._config, self._dataset, self._seen = config, dataset, seen
        self._count = len(dataset.train_labels)
        self.steps = steps_of(config, self._count)
        self._model = find(config.model)
        shape = dataset.train_images.shape[1:]
        key = jax.random.key(config.seed)
        variables = Variables(*self._model.init(key, image_shape=shape, classes=dataset.classes))
        variables = given.into(variables) if given else variables
        total = config.epochs * self.steps
        self._rate = schedule_of(config, total)
        self._optimizer = make_optimizer(config, total)
        optimizer = self._optimizer.init(variables.params)
        after = After(variables, optimizer, variables if config.ema else None)
        self.start = Point(0, devices.on_all(config, after), np.zeros(len(Counts._fields)))

    def compile(self) -> None:
        """Compile the step and the evaluation, so that the speed does not count it."""
        config, after = self._config, self.start.after
        images, labels, test_images, test_labels = self._dataset[:4]
        feed, self._held = (
            feed_of(config, *part) for part in ((images, labels), (test_images, test_labels))
        )
        key = devices.on_all(config, jax.random.key(config.seed + 1))
        step = make_step(config, self._model, self._optimizer, self._seen)
        self.walk = Walk(
            config, feed, self._count, compiled(step, after, feed.example, key, 0), key
        )
        evaluate = make_evaluation(config, self._model, self._seen)
        self._evaluate = compiled(evaluate, after.shown, self._held.example)

    @property
    def stopped(self) -> bool:
        """Whether the user has stopped the run after the last step of the last epoch."""
        return self.walk.stopped

    def finish_epoch(
        self,
        point: Point,
        checkpoints: Checkpoints,
        tick: Callable[[], None],
    ) -> tuple[Point, Epoch]:
        """Take the steps to the end of the epoch that `point` is in, and measure it.

        Args:
            point: where to begin.
            checkpoints: gets points on the way that a run can go on from.
            tick: is called after each step.

        Raises:
            DivergedError: the loss became NaN or infinite.
            StoppedError: the user has stopped it.
        """
        started = time.perf_counter()
        end = self.walk.to_the_end(point, checkpoints, tick)
        seconds = time.perf_counter() - started
        before = point.taken % self.steps * self._config.batch_size  # in another process
        trained, held = Counts(*end.sums.tolist()), self._measured(end.after)
        number = end.taken // self.steps
        epoch = Epoch(
            epoch=number,
            loss=trained.loss / trained.weight,
            train_accuracy=trained.correct / trained.images,
            test_accuracy=held.correct / held.images,
            images_per_second=(self._count - before) / seconds,
            test_loss=held.loss / held.weight,
            learning_rate=float(self._rate((number - 1) * self.steps)),
        )
        return end._replace(sums=self.start.sums), epoch

    def _measured(self, after: After) -> Counts:
        """Return the counts of the held-out images."""
        order = np.arange(len(self._dataset.test_labels), dtype=np.int32)
        counts = [self._evaluate(after.shown, batch) for batch in self._held.batches(order)]
        return Counts(*np.array(jax.device_get(counts), np.float64).sum(axis=0).tolist())
