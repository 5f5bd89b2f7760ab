"""Right calls drawn at random: how often does the court call one of them wrong?"""

import shlex
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxconv.check.bench import Bench
from jaxconv.check.case import TRANSFORMS, Case
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.cases import case_of
from jaxconv.check.catalogue.large import LARGE
from jaxconv.check.jobs import ops_among
from jaxconv.check.judge import ask
from jaxconv.check.leaves import Leaves
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Report
from jaxconv.check.strangers import strangers
from jaxconv.check.trial import quickly_compiled

DTYPES = ("float64", "float32", "bfloat16")
REPEATED = 4
"""So many times a call is made before another is drawn: compiling it is what takes long."""

TRANSFORMED = 0.1
"""So many of the calls go through a transformation: what is compiled there serves no other."""

LARGE_ONES = 0.1
"""So many of the calls of an op that has large samples are large: they take some seconds each."""


@dataclass(frozen=True)
class Share:
    """Calls of one function.

    Attributes:
        source: an op, or the name of a stranger.
        seed: of all of them.
        count: how many.
    """

    source: str
    seed: int
    count: int


@dataclass(frozen=True)
class Tally:
    """What became of a share.

    Attributes:
        source: the same.
        tried: how many calls.
        alarms: the reports of those that were called wrong.
        seconds: how long it took.
    """

    source: str
    tried: int
    alarms: tuple[Report, ...]
    seconds: float

    @property
    def line(self) -> str:
        """For people."""
        held = self.tried - len(self.alarms)
        return f"{self.source}: {held} of {self.tried} hold  [{self.seconds:.1f} s]"


def shares(targets: Sequence[str], count: int, seed: int) -> list[Share]:
    """So many calls, shared among the functions by chance; raises `UsageError`."""
    known = strangers()
    ops = [target for target in targets if target not in known]
    sources = [*targets] if targets else [*CATALOGUE, *known]
    if ops:
        ops_among(ops)
    drawn = np.random.default_rng(seed).multinomial(count, [1 / len(sources)] * len(sources))
    return [Share(s, seed, int(n)) for s, n in zip(sources, drawn, strict=True) if n]


def try_share(share: Share) -> Tally:
    """Draw each call, and put it on trial."""
    start = time.perf_counter()
    alarms = []
    shared: dict[Any, Precedents] = {}
    for number in range(share.count):
        rng = np.random.default_rng((share.seed, zlib.crc32(share.source.encode()), number))
        with jax.enable_x64(True), quickly_compiled():
            if number % REPEATED == 0:
                case = _drawn(share.source, rng)
            report = _tried(case, rng, shared)
        if not report.ok:
            source = shlex.quote(share.source)
            line = f"python -m jaxconv.check {source} --random {number + 1}"
            report.reproduce = f"{line} --seed {share.seed}" if share.seed else line
            alarms.append(report)
    jax.clear_caches()  # nothing of it serves another function
    return Tally(share.source, share.count, tuple(alarms), time.perf_counter() - start)


def _drawn(source: str, rng: np.random.Generator) -> Case:
    """Most of them not empty; of convolutions, some large enough for the fast forms."""
    if source not in CATALOGUE:
        return strangers()[source](rng)
    if CATALOGUE[source].ways and rng.random() < LARGE_ONES:
        return case_of(CATALOGUE[source], LARGE + int(rng.integers(1 << 16)))
    numbers = [int(n) for n in rng.integers(1 << 20, size=2)]
    cases = [case_of(CATALOGUE[source], number) for number in numbers]
    return cases[0] if all(map(np.size, cases[0].args)) else cases[1]


def _tried(case: Case, rng: np.random.Generator, shared: dict[Any, Precedents]) -> Report:
    """With the numbers of every array in another order, which keeps them what they may be."""
    leaves = Leaves.of(case.args)
    args = leaves.args([rng.permutation(np.ravel(a)).reshape(a.shape) for a in leaves.arrays])
    dtype = str(rng.choice(DTYPES))
    transforms = [str(rng.choice(TRANSFORMS))] if rng.random() < TRANSFORMED else []
    seed = int(rng.integers(1 << 30))
    assert case.reference is not None
    precedents = shared.setdefault(case.reference, Precedents(case.reference))
    report = Report(f"{case.name}, in {dtype}, cotangents of seed {seed}")
    bench = Bench(
        case.rule, case.reference, args, report, cotangents=2, seed=seed,
        others=case.options.get("others", ()), precedents=precedents,
    )  # fmt: skip
    ask(bench, True, (dtype,), transforms)
    return report
