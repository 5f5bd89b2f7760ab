"""The steps of an epoch, one after the other."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

import jax
import numpy as np
from jax import Array

from jaxconv.train.batch import Batch, shuffled, steps_of, take
from jaxconv.train.checkpoint import Checkpoints
from jaxconv.train.config import Config
from jaxconv.train.feed import Feed
from jaxconv.train.loss import Counts
from jaxconv.train.points import DivergedError, Point, StoppedError
from jaxconv.train.processes import agreed, stop_is_wanted, whole
from jaxconv.train.step import After

LATER = 8
"""Once in this many steps, the loss of the first of them is tested, which has been computed by
then, so that no step waits. A loss that is not finite makes the parameters NaN, and so all later
losses."""


class _Last(NamedTuple):
    """The last step that was taken.

    Attributes:
        point: the last point whose losses are all known to be finite.
        counts: the counts of the steps after it.
        done: how many of them belong to `after`.
        after: the state of training after the step.
    """

    point: Point
    counts: list[Counts]
    done: int
    after: After


class Walk:
    """The way through an epoch.

    Args:
        config: the settings of the run.
        feed: the training images.
        count: how many there are.
        step: the compiled step.
        key: of the run.

    Attributes:
        feed: the training images.
        step: the compiled step.
        key: of the run.
        stopped: whether the user has stopped the run after the last step of an epoch, which is then
            measured as any other.
    """

    stopped = False

    def __init__(
        self,
        config: Config,
        feed: Feed,
        count: int,
        step: Callable[..., tuple[After, Counts]],
        key: Array,
    ) -> None:
        self._config, self.feed, self._count = config, feed, count
        self.step, self.key = step, key
        self._steps = steps_of(config, count)

    def to_the_end(self, point: Point, checkpoints: Checkpoints, tick: Callable[[], None]) -> Point:
        """Take the steps to the end of the epoch that `point` is in.

        Args:
            point: where to begin.
            checkpoints: gets points on the way that a run can go on from.
            tick: is called after each step.

        Raises:
            DivergedError: the loss became NaN or infinite.
            StoppedError: the user has stopped it within the epoch.
        """
        begin = point.taken
        counts: list[Counts] = []
        # All that is known of the last step is in one variable, because an interrupt can come
        # between two assignments.
        last = _Last(point, counts, 0, point.after)
        try:
            for batch in self._batches(point):
                after, count = self.step(last.after, batch, self.key, point.taken + len(counts))
                counts.append(count)
                last = _Last(point, counts, len(counts), after)
                tick()
                if len(counts) % LATER == 0 and not _is_finite(counts[-LATER]):
                    break
                taken = point.taken + len(counts)
                due, stop = agreed(taken, checkpoints.is_due, stop_is_wanted())
                if stop and taken % self._steps:
                    raise KeyboardInterrupt
                if due and taken % self._steps:
                    point, counts = self._settled(last), []
                    last = _Last(point, counts, 0, point.after)
                    checkpoints.save(point.taken, point.tree)
        except KeyboardInterrupt:
            end = self._settled(last)
            if end.taken % self._steps or end.taken == begin:
                raise StoppedError(end) from None
            self.stopped = True
            return end
        return self._settled(last)

    def _batches(self, point: Point) -> Iterator[Batch]:
        """Yield the batches from a point to the end of its epoch."""
        epoch, first = divmod(point.taken, self._steps)
        return self.feed.batches(shuffled(self._config, epoch + 1, self._count), first)

    def _settled(self, last: _Last) -> Point:
        """Return the point after the last step, if all losses are finite."""
        point, counts, done, after = last
        known = np.array(jax.device_get(counts[:done]), np.float64)
        known = known.reshape(done, len(Counts._fields))  # also if there was no step
        bad = np.flatnonzero(~np.isfinite(known[:, Counts._fields.index("loss")]))
        if len(bad):
            self._diverge(point, int(bad[0]), Counts(*known[bad[0]].tolist()))
        return Point(point.taken + done, after, point.sums + known.sum(axis=0))

    def _diverge(self, point: Point, bad: int, counts: Counts) -> NoReturn:
        """Take the steps before a bad one again, and raise with what it began from."""
        after, epoch = point.after, point.taken // self._steps + 1
        for place, batch in enumerate(self._batches(point)):
            if place == bad:
                break
            after, _ = self.step(after, batch, self.key, point.taken + place)
        raise DivergedError(
            f"the loss is {counts.loss / counts.weight} in step"
            f" {point.taken % self._steps + bad + 1} of epoch {epoch}",
            whole(take(batch)),
            after,
        )


def _is_finite(counts: Counts) -> bool:
    return math.isfinite(float(counts.loss))
