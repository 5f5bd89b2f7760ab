"""`--random`: check randomly drawn calls whose gradient is right, and count false alarms."""

import shlex
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxconv.check.case import TRANSFORMS, Case
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.cases import case_of
from jaxconv.check.catalogue.large import LARGE
from jaxconv.check.compiling import quickly_compiled
from jaxconv.check.jobs import ops_among
from jaxconv.check.judge import ask
from jaxconv.check.leaves import Leaves
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Report
from jaxconv.check.state import Check
from jaxconv.check.strangers import strangers

DTYPES = ("float64", "float32", "bfloat16")
REPEATED = 4
"""How often a drawn call is checked with new numbers: most of the time goes into compiling it."""

TRANSFORMED = 0.1
"""Share of the calls that go through a transformation; each of these compiles anew."""

LARGE_ONES = 0.1
"""Share of large calls among those of an op that has large samples; each takes some seconds."""


@dataclass(frozen=True)
class Share:
    """Calls to draw of one function.

    Attributes:
        source: the name of an op, or of a function in `strangers`.
        seed: the seed of all draws.
        count: how many calls to draw.
    """

    source: str
    seed: int
    count: int


@dataclass(frozen=True)
class Tally:
    """The result of checking a share.

    Attributes:
        source: the name of the op or function.
        tried: how many calls were checked.
        alarms: the reports of the calls that were reported as wrong.
        seconds: how long it took.
    """

    source: str
    tried: int
    alarms: tuple[Report, ...]
    seconds: float

    @property
    def line(self) -> str:
        """The result in one line."""
        held = self.tried - len(self.alarms)
        return f"{self.source}: {held} of {self.tried} hold  [{self.seconds:.1f} s]"


def shares(targets: Sequence[str], count: int, seed: int) -> list[Share]:
    """Divide `count` calls among the functions at random; raise `UsageError` for unknown names."""
    known = strangers()
    ops = [target for target in targets if target not in known]
    sources = [*targets] if targets else [*CATALOGUE, *known]
    if ops:
        ops_among(ops)
    drawn = np.random.default_rng(seed).multinomial(count, [1 / len(sources)] * len(sources))
    return [Share(s, seed, int(n)) for s, n in zip(sources, drawn, strict=True) if n]


def try_share(share: Share) -> Tally:
    """Draw each call of a share and check it."""
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
    jax.clear_caches()  # no other function can use what was compiled here
    return Tally(share.source, share.count, tuple(alarms), time.perf_counter() - start)


def _drawn(source: str, rng: np.random.Generator) -> Case:
    """Draw a call: rarely one with an empty array, sometimes one large enough for fast forms."""
    if source not in CATALOGUE:
        return strangers()[source](rng)
    if CATALOGUE[source].ways and rng.random() < LARGE_ONES:
        return case_of(CATALOGUE[source], LARGE + int(rng.integers(1 << 16)))
    numbers = [int(n) for n in rng.integers(1 << 20, size=2)]
    cases = [case_of(CATALOGUE[source], number) for number in numbers]
    return cases[0] if all(map(np.size, cases[0].args)) else cases[1]


def _tried(case: Case, rng: np.random.Generator, shared: dict[Any, Precedents]) -> Report:
    """Check the case with the elements of each array shuffled, which keeps them valid."""
    leaves = Leaves.of(case.args)
    args = leaves.args([rng.permutation(np.ravel(a)).reshape(a.shape) for a in leaves.arrays])
    dtype = str(rng.choice(DTYPES))
    transforms = [str(rng.choice(TRANSFORMS))] if rng.random() < TRANSFORMED else []
    seed = int(rng.integers(1 << 30))
    assert case.reference is not None
    precedents = shared.setdefault(case.reference, Precedents(case.reference))
    report = Report(f"{case.name}, in {dtype}, cotangents of seed {seed}")
    check = Check(
        case.rule, case.reference, args, report, cotangents=2, seed=seed,
        others=case.options.get("others", ()), precedents=precedents,
    )  # fmt: skip
    ask(check, True, (dtype,), transforms)
    return report
