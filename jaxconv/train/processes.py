"""Several processes that train one network: on one machine, or on many.

Every process runs the same program on its share of each batch. The first one writes the files and
speaks; all of them write the checkpoints. What only one of them can know, such as that the user
wants to stop, they agree on after steps that are the same for all.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxconv.train import devices
from jaxconv.train.config import Config
from jaxconv.train.noise import hold_back

T = TypeVar("T")

AUTO = "auto"
"""The coordinator that Slurm, Open MPI or Kubernetes name in variables of the environment."""

CONNECTING, SILENT = 60, 15
"""Seconds in which all processes must have started, and in which each must give a sign of life."""

EVERY = 8
"""The number of steps from one agreement of the processes to the next."""

LOST = 3
"""The exit status of a process that has lost another one."""


@dataclass
class _This:
    """What is known of this process without asking JAX, which may be waiting for the others.

    Attributes:
        number: which of the processes it is; None until all of them are connected.
        folder: the output folder of the run; None before there is one.
        coordinator: where the processes are to meet.
        stop: whether the user wants it to stop.
    """

    number: int | None = None
    folder: Path | None = None
    coordinator: str | None = None
    stop: bool = False


_this = _This()

SIGNS = ("gloo", "nccl", "collective", "coordination", "heartbeat", "barrier", "socket closed")
"""Words of errors that come from the loss of another process."""


def join(config: Config) -> Config:
    """Connect this process with the others of the run; without --coordinator there are none.

    Returns:
        The configuration, with as many devices as all processes have.

    Raises:
        ValueError: the other processes cannot be reached, or the number of devices that all of
            them have is not the one that --devices names.
    """
    if config.coordinator is None:
        if config.devices > 1:
            devices.make_cpus(config.devices)
        return config
    devices.make_cpus(max(1, config.devices // (config.processes or 1)))
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    where = None if config.coordinator == AUTO else config.coordinator
    _this.coordinator = config.coordinator
    hold_back(_end)
    _answer(signal.SIG_DFL)  # Python cannot act while JAX connects
    try:
        jax.distributed.initialize(
            where,
            config.processes,
            config.process_id,
            initialization_timeout=CONNECTING,
            heartbeat_timeout_seconds=SILENT,
        )
    except (RuntimeError, ValueError) as error:
        first, *_ = str(error).splitlines()
        auto = "the variables of Slurm, Open MPI and Kubernetes do not say where: "
        raise ValueError(
            f"--coordinator {config.coordinator}: {auto if where is None else ''}{first}"
        ) from None
    _this.number = jax.process_index()
    _listen()
    there = len(jax.devices())
    if config.devices not in (1, there) and config.resume is None:
        raise ValueError(
            f"--devices {config.devices}: the {jax.process_count()} processes have {there} in all"
        )
    return replace(config, devices=there)


def _listen() -> None:
    """Take Ctrl-C and SIGTERM as a wish to stop after a step that is the same in all processes."""

    def want(number: int, frame: object) -> None:
        if _this.stop:
            raise KeyboardInterrupt
        _this.stop = True

    _answer(want)


def _answer(how: Callable[[int, FrameType | None], object] | int) -> None:
    """Do this on Ctrl-C and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, how)


def stop_is_wanted() -> bool:
    """Return whether the user wants this process, which is one of several, to stop."""
    return _this.stop


def are_several() -> bool:
    """Return whether this process is not the only one."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Return whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


def share(size: int) -> slice:
    """Return which part of a batch of this size is that of this process."""
    each = size // jax.process_count()
    return slice(jax.process_index() * each, (jax.process_index() + 1) * each)


def in_any(*flags: bool) -> tuple[bool, ...]:
    """Return which of these flags are set in any process; all of them must ask at once."""
    if not are_several():
        return flags
    told = multihost_utils.process_allgather(np.array(flags))
    return tuple(np.any(told.reshape(-1, len(flags)), axis=0).tolist())


def agreed(taken: int, *flags: bool) -> tuple[bool, ...]:
    """Return the flags after `taken` steps: of several processes those that are set in any.

    Several processes agree only once in EVERY steps; after the others no flag is set.
    """
    if not are_several():
        return flags
    return (False,) * len(flags) if taken % EVERY else in_any(*flags)


def of_the_first(text: Callable[[], str]) -> str:
    """Return in all processes what the function returns in the first, or raise its error in all."""
    if not are_several():
        return text()
    said, failed = _attempt(text) if is_first() else ("", False)
    length, failed = _from_the_first(np.array([len(said.encode()), failed])).tolist()
    letters = np.frombuffer(said.encode().ljust(length, b" ")[:length], np.uint8)
    said = bytes(_from_the_first(letters).astype(np.uint8)).decode()
    if failed:
        raise ValueError(said)
    return said


def _attempt(text: Callable[[], str]) -> tuple[str, bool]:
    try:
        return text(), False
    except (ValueError, OSError) as error:
        return str(error), True


def _from_the_first(array: np.ndarray) -> np.ndarray:
    return np.asarray(multihost_utils.broadcast_one_to_all(array))


def here(tree: T) -> T:
    """Return a tree for the use of this process alone, whose arrays are the same in all."""
    return jax.device_get(tree) if are_several() else tree


def whole(tree: T) -> T:
    """Return a tree for the use of this process, of whose arrays each process has a share."""
    return multihost_utils.process_allgather(tree, tiled=True) if are_several() else tree


@contextlib.contextmanager
def ending_if_lost(folder: Path) -> Iterator[None]:
    """End this process with one line if another one has gone; `folder` is that of the run."""
    _this.folder = folder
    try:
        yield
    except Exception as error:
        said = str(error).replace(str(folder), "").lower()
        if are_several() and any(sign in said for sign in SIGNS):
            _end()
        raise
    finally:
        if are_several():
            _answer(signal.SIG_DFL)  # what is left is to wait for the others, inside of JAX


def _end() -> NoReturn:
    """End at once: to wait for the others, as the end of a process does, would take minutes."""
    if _this.number is None:
        _exit(2, f"--coordinator {_this.coordinator}: the other processes cannot be reached")
    resume = f"; to continue: python -m jaxconv.train --resume {_this.folder}"
    said = f"process {_this.number}: another process has ended"
    _exit(LOST, said + (resume if _this.folder else ""))


def _exit(status: int, said: str) -> NoReturn:
    sys.stderr.write(f"train: {said}\n")
    sys.stderr.flush()
    os._exit(status)
