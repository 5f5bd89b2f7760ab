"""The origin of a measurement: the machine and the run."""

import importlib
import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import jax

import jaxconv
from jaxconv.bench import pytorch
from jaxconv.bench.floors import Ceilings

_CPUINFO = Path("/proc/cpuinfo")


class Machine(NamedTuple):
    """A computer and the device on which JAX computes.

    Attributes:
        processor: the model of the processor.
        vectors: its widest vector instructions; "" if unknown.
        cores: the number of cores that this process may use.
        device: JAX's name for the device.
    """

    processor: str
    vectors: str
    cores: int
    device: str

    def __str__(self) -> str:
        parts = [self.processor, self.vectors, f"{self.cores} cores"]
        if self.device != "cpu":
            parts.append(self.device)
        return ", ".join(filter(None, parts))

    @property
    def slug(self) -> str:
        """The machine's name as a part of file names."""
        name = re.sub(r"\(R\)|\(TM\)|processor", "", str(self).lower(), flags=re.IGNORECASE)
        if self.device != "cpu":
            name = self.device.lower()
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


class Run(NamedTuple):
    """One run of the benchmark.

    Attributes:
        date: when the run started, in UTC.
        commit: the commit of jaxconv, with a "+" if files differ from it; "" if unknown.
        versions: the versions of Python and the packages.
        torch_threads: the number of PyTorch's threads; None if PyTorch is not installed.
        rounds: the least number of rounds of each contestant.
        batches: the factor by which there are more examples than usual.
        ceilings: the ceilings of the machine, measured at the start.
    """

    date: str
    commit: str
    versions: dict[str, str]
    torch_threads: int | None
    rounds: int
    batches: int
    ceilings: Ceilings

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        threads = "" if self.torch_threads is None else f" ({self.torch_threads} threads)"
        batches = "" if self.batches == 1 else f", {self.batches} times as many examples"
        commit = f", commit {self.commit}" if self.commit else ""
        return (
            f"{self.date}{commit}; {versions}{threads}; float32, medians of {self.rounds} rounds"
            f" or more{batches}. Ceilings: {self.ceilings.multiply_adds / 1e9:.3g} G"
            f" multiply-adds/s, {self.ceilings.bytes / 1e9:.3g} GB/s; an empty call takes"
            f" {1e3 * self.ceilings.call_s:.2g} ms."
        )


def this_machine(device: jax.Device) -> Machine:
    """Describe the machine that this process runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(_processor(), _vectors(), cores or 1, device.device_kind)


def this_run(rounds: int, batches: int, ceilings: Ceilings) -> Run:
    """Describe a run that starts now."""
    versions = {"Python": platform.python_version(), "jaxconv": jaxconv.__version__}
    for name, package in (("JAX", "jax"), ("jaxlib", "jaxlib"), ("Flax", "flax")):
        try:
            versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    threads = None
    if pytorch.is_installed():
        torch: ModuleType = importlib.import_module("torch")
        versions["PyTorch"], threads = torch.__version__, torch.get_num_threads()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Run(date, _commit(), versions, threads, rounds, batches, ceilings)


def _processor() -> str:
    """Return the model of the processor, as the system names it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _vectors() -> str:
    """Return the widest vector instructions of an x86 processor, otherwise ""."""
    flags = _cpuinfo("flags").split()
    known = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX"}
    return next((name for flag, name in known.items() if flag in flags), "")


def _cpuinfo(wanted: str) -> str:
    """Return the first value of that name in /proc/cpuinfo, otherwise ""."""
    for line in _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == wanted:
            return value.strip()
    return ""


def _commit() -> str:
    """Return the commit of the checkout that contains this package; "" if there is none."""
    folder = Path(jaxconv.__file__).parent
    head = _git(folder, "log", "-1", "--format=%h", "--", ".")
    return head + "+" if head and _git(folder, "status", "--porcelain", "--", ".") else head


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
