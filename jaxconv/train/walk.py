"""The steps of an epoch, one after the other."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxconv.train.batch import Batch, shuffled, take
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.feed import Feed
from jaxconv.train.loss import Counts
from jaxconv.train.points import DivergedError, Point, StoppedError

LATER = 8
"""Once in this many steps, the loss of the first of them is tested, which has been computed by
then, so that no step waits. A loss that is not finite makes the parameters NaN, and so all later
losses."""


class Walk:
    """The way through an epoch.

    Args:
        config: the settings of the run.
        feed: the training images.
        count: how many there are.
        step: the compiled step.
        key: of the run.
    """

    def __init__(self, config: Config, feed: Feed, count: int, step: Any, key: Any) -> None:
        self._config, self._feed, self._count = config, feed, count
        self._step, self._key = step, key
        self._steps = -(-count // config.batch_size)

    def to_the_end(
        self, point: Point, checkpoints: Checkpoints | None, tick: Callable[[], None]
    ) -> Point:
        """Take the steps to the end of the epoch that `point` is in.

        Args:
            point: where to begin.
            checkpoints: gets points on the way that a run can go on from.
            tick: is called after each step.

        Raises:
            DivergedError: the loss became NaN or infinite.
            StoppedError: the user has stopped it.
        """
        counts: list[Counts] = []
        # The last state, and how many counts belong to it: one assignment, which no interrupt
        # can come into.
        last = point.after, 0
        try:
            for batch in self._batches(point):
                after, count = self._step(last[0], batch, self._key, point.taken + len(counts))
                counts.append(count)
                last = after, len(counts)
                tick()
                if len(counts) % LATER == 0 and not _is_finite(counts[-LATER]):
                    break
                in_epoch = (point.taken + len(counts)) % self._steps
                if checkpoints is not None and in_epoch and checkpoints.is_due:
                    point, counts = self._settled(point, counts, last), []
                    last = point.after, 0
                    checkpoints.save(point.taken, point.tree)
        except KeyboardInterrupt:
            raise StoppedError(self._settled(point, counts, last)) from None
        return self._settled(point, counts, last)

    def _batches(self, point: Point) -> Iterator[Batch]:
        """Yield the batches from a point to the end of its epoch."""
        epoch, first = divmod(point.taken, self._steps)
        return self._feed.batches(shuffled(self._config, epoch + 1, self._count), first)

    def _settled(self, point: Point, counts: Sequence[Counts], last: tuple[Any, int]) -> Point:
        """Return the point after the steps that were counted, whose losses are all finite."""
        after, done = last
        known = np.array(jax.device_get(list(counts[:done])), np.float64).reshape(done, -1)
        bad = np.flatnonzero(~np.isfinite(known[:, Counts._fields.index("loss")]))
        if len(bad):
            self._diverge(point, int(bad[0]), Counts(*known[bad[0]].tolist()))
        return Point(point.taken + done, after, point.sums + known.sum(axis=0))

    def _diverge(self, point: Point, bad: int, counts: Counts) -> None:
        """Take the steps before a bad one again, and raise with what it began from."""
        after, epoch = point.after, point.taken // self._steps + 1
        for place, batch in enumerate(self._batches(point)):
            if place == bad:
                break
            after, _ = self._step(after, batch, self._key, point.taken + place)
        raise DivergedError(
            f"the loss is {counts.loss / counts.weight} in step"
            f" {point.taken % self._steps + bad + 1} of epoch {epoch}",
            take(batch),
            after,
        )


def _is_finite(counts: Counts) -> bool:
    return math.isfinite(float(counts.loss))
