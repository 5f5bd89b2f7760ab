"""How much memory images may take."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SHARE = 4
"""Images may take one part in this many of the free memory: while they are read and split, there
can be three copies."""

GIGABYTE = 10**9

_CGROUP = Path("/sys/fs/cgroup")


def allowed(gigabytes: float | None) -> float:
    """Return how many bytes the images may take: as the user says, or a SHARE of what is free."""
    return free() // SHARE if gigabytes is None else gigabytes * GIGABYTE


def free() -> int:
    """Return how many bytes this process can still get: the least that any limit leaves."""
    return min(_limits(), default=2 * GIGABYTE)


def _limits() -> Iterator[int]:
    try:
        yield _available()
    except (OSError, ValueError):  # no Linux
        with contextlib.suppress(AttributeError, OSError, ValueError):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    with contextlib.suppress(OSError, ValueError):  # a container may have less
        most = int((_CGROUP / "memory.max").read_text())
        yield max(0, most - int((_CGROUP / "memory.current").read_text()))
    yield from _of_process()


def _available() -> int:
    """Return what Linux can still give to a process."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return 1024 * int(value.split()[0])
    raise ValueError("/proc/meminfo does not say what is available")


def _of_process() -> Iterator[int]:
    """Yield what `ulimit` leaves of the address space (-v) and of the data (-d)."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    used = {"VmSize": 0, "VmData": 0}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in used:
                used[name] = 1024 * int(value.split()[0])
    for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            yield max(0, most - used[name])
