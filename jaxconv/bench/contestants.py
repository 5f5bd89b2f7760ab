"""Compile the contestants and let them take turns.

One contestant takes part twice: how far it is from itself is the noise.
"""

import functools
import hashlib
import math
import random
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax

import jaxconv
import jaxconv.reference
from jaxconv.bench import pytorch
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.subject import Program, Subject
from jaxconv.compiler import largest_array

AGAIN = "autodiff again"
PYTORCH = "PyTorch"
# Who takes part: in full, without options and PyTorch, and where ours is the one to be known best.
ALL = ("ours", "ours + options", "autodiff", "autodiff + options", AGAIN, PYTORCH)
DEFAULTS = ("ours", "autodiff", AGAIN)
OURS_TWICE = ("ours", "ours again", "autodiff")
# Of contests that are over sooner than this, so many times as many rounds at most.
ENOUGH_S = 1.0
MORE = 10
# On a GPU a call returns before it is done, and to wait for it takes longer than many an op does:
# so many calls are waited for together as take this long, but not more than MOST_CALLS.
TOGETHER_S = 0.01
MOST_CALLS = 200


@dataclass
class Timing:
    """What was measured of one contestant in one direction.

    Attributes:
        compile_s: seconds from the function to the executable, None in PyTorch.
        temporary_bytes: what it holds beside arguments and results, if that is known.
        seconds: of a call, from each round.
        program: a fingerprint of what XLA made of it, names aside; None in PyTorch.
    """

    compile_s: float | None = None
    temporary_bytes: int | None = None
    seconds: list[float] = field(default_factory=list)
    program: str | None = None

    @property
    def median_ms(self) -> float:
        """The median of all rounds."""
        return 1e3 * statistics.median(self.seconds)

    def summary(self) -> tuple[float, ...]:
        """The smallest of the seconds, their quartiles and the largest: median in the middle."""
        if len(self.seconds) == 1:
            return (self.seconds[0],) * 5
        quartiles = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (min(self.seconds), *quartiles, max(self.seconds))


@dataclass(frozen=True)
class Result:
    """One op or network.

    Attributes:
        timings: for each direction, by contestant.
        floor_ms: for each direction.
        residual_bytes: of ours and of autodiff, where that is a question.
    """

    timings: dict[str, dict[str, Timing]]
    floor_ms: dict[str, float]
    residual_bytes: dict[str, int]


def compiled(
    program: Program, options: dict[str, str], *, again: bool = False
) -> tuple[Callable[[], Any], Timing]:
    """The program as a call that does not wait for it to be done, and what it took to get there.

    If `again`, it was compiled once before that. On a GPU XLA tries what is fastest, and keeps what
    it found for all programs of the process: the first to ask would pay for the others.
    """
    if again:
        jax.jit(lambda *args: program.function(*args), compiler_options=options).lower(
            *program.args
        ).compile()
    start = time.perf_counter()
    lowered = jax.jit(program.function, compiler_options=options).lower(*program.args)
    executable = lowered.compile()
    seconds = time.perf_counter() - start
    memory = executable.memory_analysis()
    run = functools.partial(executable, *program.args)
    held = getattr(memory, "temp_size_in_bytes", None)
    return run, Timing(seconds, held, program=_fingerprint(executable.as_text() or ""))


def _fingerprint(program: str) -> str:
    """Equal for programs that differ in names, and in where in Python an operation comes from."""
    computations = re.split(r"^(?=%|ENTRY)", program, maxsplit=1, flags=re.MULTILINE)[-1]
    text = re.sub(r", metadata=\{[^}]*\}", "", computations)
    numbers: dict[str, str] = {}
    # A % stands before every name but those of parameters, which their types follow.
    numbered = re.sub(
        r"%[\w.-]+|[\w.-]+(?=: \(?\w+\[)",
        lambda name: numbers.setdefault(name[0].lstrip("%"), f"%{len(numbers)}"),
        text,
    )
    return hashlib.sha256(numbered.encode()).hexdigest()[:16]


def noise(timings: Mapping[str, Timing]) -> float:
    """How far the contestant that takes part twice is from itself, relative to its time."""
    (again,) = (who for who in timings if who.endswith(" again"))
    return abs(timings[again].median_ms / timings[again.removesuffix(" again")].median_ms - 1)


def measure(
    subject: Subject,
    rounds: int,
    device: str,
    ceilings: Ceilings,
    contestants: Sequence[str] = ALL,
) -> Result:
    """Time some contestants on one op or network, in turns.

    The turns of a round are in an order of its own, so that nobody always follows the same one.
    """
    residuals = {}
    contests: dict[str, dict[str, tuple[Turn, Timing]]] = {}
    together = 1 if device == "cpu" else MOST_CALLS
    arrays: dict[str, tuple[Any, ...]] = {}
    for name, ops in (("ours", jaxconv), ("autodiff", jaxconv.reference)):
        kept = subject.residual_bytes(ops)
        if kept is not None:
            residuals[name] = kept
        for direction, program in subject.on_jax(ops).items():
            # The same arrays for all, not equal ones: it counts where in memory they lie.
            shared = program._replace(args=arrays.setdefault(direction, program.args))
            contest = contests.setdefault(direction, {})
            for who, options in _settings(name, shared, device, contestants).items():
                run, timing = compiled(shared, options, again=device != "cpu")
                contest[who] = Turn(run, jax.block_until_ready, together), timing
    where = pytorch.device_like(device) if PYTORCH in contestants else None
    if where is not None:
        pytorch.prepare(where)
        for direction, run in subject.on_torch(where).items():
            contests[direction][PYTORCH] = (
                Turn(run, pytorch.waiting_on(where), together),
                Timing(),
            )
    for contest in contests.values():
        take_turns(list(contest.values()), rounds)
    floors = {direction: ceilings.floor_ms(works) for direction, works in subject.work().items()}
    timings = {
        direction: {who: timing for who, (_, timing) in contest.items()}
        for direction, contest in contests.items()
    }
    return Result(timings, floors, residuals)


def _settings(
    name: str, program: Program, device: str, contestants: Sequence[str]
) -> dict[str, dict[str, str]]:
    """The contestants that are compiled from this program, and the options of each."""
    settings: dict[str, dict[str, str]] = {who: {} for who in (name, f"{name} again")}
    if f"{name} + options" in contestants:
        options = jaxconv.compiler_options(
            device, largest_array=largest_array(program.function, *program.args)
        )
        if options:
            settings[f"{name} + options"] = options
    return {who: options for who, options in settings.items() if who in contestants}


class Turn:
    """Calls of a contestant, one after the other, waited for together.

    Attributes:
        calls: how many; 1 where `most` is 1.
    """

    def __init__(self, run: Callable[[], Any], wait: Callable[[Any], Any], most: int = 1):
        self._run, self._wait, self.calls = run, wait, 1
        if most > 1:
            self.seconds_a_call()  # warms up
            self.calls = min(max(math.ceil(TOGETHER_S / self.seconds_a_call()), 1), most)

    def seconds_a_call(self) -> float:
        """Of a turn that is taken now."""
        start = time.perf_counter()
        for _ in range(self.calls):
            # What the call before it gave is let go of, and its memory free, when this is done.
            result = self._run()
        self._wait(result)
        return (time.perf_counter() - start) / self.calls


class Timed(Protocol):
    """Whoever takes turns."""

    def seconds_a_call(self) -> float:
        """Take a turn, and say how long a call took."""


def take_turns(contest: Sequence[tuple[Timed, Timing]], rounds: int) -> None:
    """Take so many rounds, and more of what is quick: its noise is larger.

    Each is taken twice, and the second counts, as one step of training comes after another: what
    the one before left in caches, and of memory to use again, is of one's own making.
    """
    begin = time.perf_counter()
    for number in range(MORE * rounds):
        if number >= rounds and time.perf_counter() - begin > ENOUGH_S:
            break
        for turn, timing in random.Random(number).sample(contest, len(contest)):
            turn.seconds_a_call()
            timing.seconds.append(turn.seconds_a_call())
