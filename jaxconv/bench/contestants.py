"""Compile the contestants and time them in turns.

A contestant is one implementation (ours, autodiff of the reference implementation or PyTorch) with
one set of compiler options. One of them takes part twice; the difference between its two times is
the noise.
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
# Sets of contestants: all; without options and PyTorch; and one in which ours takes part twice.
ALL = ("ours", "ours + options", "autodiff", "autodiff + options", AGAIN, PYTORCH)
DEFAULTS = ("ours", "autodiff", AGAIN)
OURS_TWICE = ("ours", "ours again", "autodiff")
# A contest that takes less than ENOUGH_S gets more rounds, up to MORE times as many.
ENOUGH_S = 1.0
MORE = 10
# On a GPU a call returns before it is done, and waiting for it takes longer than many ops. So a
# turn makes as many calls as take TOGETHER_S, at most MOST_CALLS, and waits once.
TOGETHER_S = 0.01
MOST_CALLS = 200


@dataclass
class Timing:
    """The measurements of one contestant in one direction.

    Attributes:
        compile_s: seconds to compile the function; None for PyTorch.
        temporary_bytes: the memory it needs apart from arguments and results; None if unknown.
        seconds: the seconds per call, one number for each round.
        program: a fingerprint of the compiled program, which ignores names; None for PyTorch.
    """

    compile_s: float | None = None
    temporary_bytes: int | None = None
    seconds: list[float] = field(default_factory=list)
    program: str | None = None

    @property
    def median_ms(self) -> float:
        """The median of all rounds, in milliseconds."""
        return 1e3 * statistics.median(self.seconds)

    def summary(self) -> tuple[float, ...]:
        """Return the minimum, the three quartiles and the maximum of the seconds."""
        if len(self.seconds) == 1:
            return (self.seconds[0],) * 5
        quartiles = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (min(self.seconds), *quartiles, max(self.seconds))


@dataclass(frozen=True)
class Result:
    """The measurements of one op or network.

    Attributes:
        timings: the timings by direction and contestant.
        floor_ms: the least possible time in ms, by direction.
        residual_bytes: the residual bytes of "ours" and "autodiff"; {} if they are not measured.
    """

    timings: dict[str, dict[str, Timing]]
    floor_ms: dict[str, float]
    residual_bytes: dict[str, int]


def compiled(
    program: Program, options: dict[str, str], *, again: bool = False
) -> tuple[Callable[[], object], Timing]:
    """Compile a program; return a call that does not wait for the result, and its timing.

    With `again`, the program is compiled once before the compilation that is timed. On a GPU, XLA
    searches for the fastest code and keeps what it found for all programs of the process, so the
    first program would pay for the others.
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
    """Return a hash of a program that ignores names and source locations."""
    computations = re.split(r"^(?=%|ENTRY)", program, maxsplit=1, flags=re.MULTILINE)[-1]
    text = re.sub(r", metadata=\{[^}]*\}", "", computations)
    numbers: dict[str, str] = {}
    # Every name begins with %, except those of parameters, which are followed by a type.
    numbered = re.sub(
        r"%[\w.-]+|[\w.-]+(?=: \(?\w+\[)",
        lambda name: numbers.setdefault(name[0].lstrip("%"), f"%{len(numbers)}"),
        text,
    )
    return hashlib.sha256(numbered.encode()).hexdigest()[:16]


def noise(timings: Mapping[str, Timing]) -> float:
    """Return the relative difference between both times of the contestant that takes part twice."""
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

    Each round has another order, so that no contestant always follows the same one.
    """
    residuals = {}
    contests: dict[str, dict[str, tuple[Turn, Timing]]] = {}
    together = 1 if device == "cpu" else MOST_CALLS
    arrays: dict[str, tuple[object, ...]] = {}
    for name, ops in (("ours", jaxconv), ("autodiff", jaxconv.reference)):
        kept = subject.residual_bytes(ops)
        if kept is not None:
            residuals[name] = kept
        for direction, program in subject.on_jax(ops).items():
            # All contestants share the same arrays, since the time depends on their addresses.
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
    """Return the contestants to compile from this program, with the compiler options of each."""
    settings: dict[str, dict[str, str]] = {who: {} for who in (name, f"{name} again")}
    if f"{name} + options" in contestants:
        options = jaxconv.compiler_options(
            device, largest_array=largest_array(program.function, *program.args)
        )
        if options:
            settings[f"{name} + options"] = options
    return {who: options for who, options in settings.items() if who in contestants}


class Turn:
    """Successive calls of a contestant that are waited for together.

    Attributes:
        calls: the number of calls, at most `most`.
    """

    def __init__(self, run: Callable[[], object], wait: Callable[[Any], object], most: int = 1):
        self._run, self._wait, self.calls = run, wait, 1
        if most > 1:
            self.seconds_a_call()  # a warm-up, which does not count
            self.calls = min(max(math.ceil(TOGETHER_S / self.seconds_a_call()), 1), most)

    def seconds_a_call(self) -> float:
        """Take a turn and return the seconds per call."""
        start = time.perf_counter()
        for _ in range(self.calls):
            # Rebinding `result` frees the memory of the result before it.
            result = self._run()
        self._wait(result)
        return (time.perf_counter() - start) / self.calls


class Timed(Protocol):
    """Anything that can take turns."""

    def seconds_a_call(self) -> float:
        """Take a turn and return the seconds per call."""


def take_turns(contest: Sequence[tuple[Timed, Timing]], rounds: int) -> None:
    """Take `rounds` rounds, and more if a contest is short, since its noise is larger.

    Each contestant runs twice in a row and the second run counts. As in training, the caches and
    the free memory are then those that its own previous run left.
    """
    begin = time.perf_counter()
    for number in range(MORE * rounds):
        if number >= rounds and time.perf_counter() - begin > ENOUGH_S:
            break
        for turn, timing in random.Random(number).sample(contest, len(contest)):
            turn.seconds_a_call()
            timing.seconds.append(turn.seconds_a_call())
