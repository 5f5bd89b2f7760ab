"""The jobs of the command line: each is one check that a worker process can run."""

import difflib
import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxconv._core.types import Options, Values
from jaxconv.check.case import Case
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.cases import case_of, telling
from jaxconv.check.report import Report
from jaxconv.check.shrink import run, smallest_batch, smallest_sample

SAMPLES = 2
"""The default number of samples of an op to check."""

DTYPES = ("float32", "bfloat16")
"""The default dtypes in which to check an op besides float64."""


class UsageError(ValueError):
    """Raised for bad usage of the command line; the message says what is wrong."""


@dataclass(frozen=True)
class Job:
    """One call to check.

    Attributes:
        target: an op of the catalogue or module:attribute.
        number: the number of the sample, or of the case in the list.
        key: the seed of the cotangents.
        dtypes: dtypes to check besides float64 and that of the arguments.
        costs: whether to report costs.
    """

    target: str
    number: int
    key: int = 0
    dtypes: tuple[str, ...] = ()
    costs: bool = False


@dataclass
class Outcome:
    """The result of a job.

    Attributes:
        job: the job that was done.
        report: the report, or None if the case could not be checked at all.
        usage: why it could not be checked.
        seconds: how long the check took.
    """

    job: Job
    report: Report | None = None
    usage: str = ""
    seconds: float = field(default=0.0, compare=False)


def jobs_for(
    targets: Sequence[str],
    seed: int | None = None,
    samples: int | None = None,
    dtypes: tuple[str, ...] | None = None,
    costs: bool = False,
) -> list[Job]:
    """Return the jobs for all targets; raise `UsageError` if a target does not exist."""
    jobs = []
    for target in targets or CATALOGUE:
        if ":" in target:
            keys = range(seed or 0, (seed or 0) + (samples or 1))
            numbers: Sequence[int] = range(len(cases_in(target)))
            jobs += [
                Job(target, number, key, dtypes or (), costs) for number in numbers for key in keys
            ]
            continue
        if target not in CATALOGUE:
            raise UsageError(_unknown(target))
        if seed is None and samples is None:
            numbers = [*telling(CATALOGUE[target], SAMPLES), *_forms(target)]
        else:
            numbers = range(seed or 0, (seed or 0) + (samples or SAMPLES))
        chosen = DTYPES if dtypes is None else dtypes
        jobs += [Job(target, number, dtypes=chosen, costs=costs) for number in numbers]
    return jobs


def _forms(target: str) -> tuple[int, ...]:
    """Return this op's share of the large samples that together reach every fast form once."""
    sharing = [name for name, record in CATALOGUE.items() if record.ways]
    if target not in sharing:
        return ()
    return CATALOGUE[target].each_form[sharing.index(target) :: len(sharing)]


def ops_among(targets: Sequence[str]) -> list[str]:
    """Return the targets, or all ops if there are none; raise `UsageError` for an unknown op."""
    for target in targets:
        if target not in CATALOGUE:
            raise UsageError(_unknown(target))
    return list(targets or CATALOGUE)


def _unknown(target: str) -> str:
    near = difflib.get_close_matches(target, CATALOGUE, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CATALOGUE)}"
    return f"no op is called {target!r}; {hint} (a case of your own is module:attribute)"


def cases_in(target: str) -> list[Case]:
    """Return the cases at module:attribute; raise `UsageError` if there are none."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{target!r} is neither an op nor module:attribute")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # importing a user's module may raise anything
        raise UsageError(f"{module_name} cannot be imported: {_line(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name, value in vars(found).items() if _is_cases(value)]
            near = difflib.get_close_matches(part, names, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{module_name} has no {attribute!r}{hint}")
        found = getattr(found, part)
    if not _is_cases(found):
        raise UsageError(f"{target} must be a Case or a list of them, but it is {found!r:.60}")
    return [found] if isinstance(found, Case) else list(found)


def _is_cases(value: Any) -> bool:
    if isinstance(value, Case):
        return True
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(case, Case) for case in value)
    )


def do(job: Job) -> Outcome:
    """Check one call; if it fails, look for a smaller one and add the command that repeats it."""
    start = time.perf_counter()
    try:
        report = _of_op(job) if ":" not in job.target else _of_case(job)
    except Exception as error:  # a rule or a reference that cannot be called may raise anything
        return Outcome(job, usage=f"{job.target}: {_line(error)}")
    return Outcome(job, report, seconds=time.perf_counter() - start)


def _of_op(job: Job) -> Report:
    record = CATALOGUE[job.target]
    case = case_of(record, job.number)
    report = run(case, costs=job.costs, key=job.key, dtypes=job.dtypes)
    if not report.ok:
        number = smallest_sample(record, job.number, report)
        report.reproduce = f"python -m jaxconv.check {job.target} --seed {number} --samples 1"
        if job.dtypes != DTYPES:
            report.reproduce += f" --dtypes {','.join(job.dtypes)}"
    return report


def _of_case(job: Job) -> Report:
    case = cases_in(job.target)[job.number]
    options: Options = {"costs": job.costs}
    options |= {"key": job.key} if job.key else {}
    options |= {"dtypes": job.dtypes} if job.dtypes else {}
    report = run(case, **options)
    if not report.ok:
        line = f"python -m jaxconv.check {job.target}"
        report.reproduce = f"{line} --seed {job.key}" if job.key else line
        args = smallest_batch(replace(case, options={**case.options, **options}), report)
        size, whole = (np.shape(_first(a)) for a in (args, case.args))
        if size != whole:
            report.reproduce += f" (the first {size[0]} of {whole[0]} examples are enough)"
    return report


def _first(args: Values) -> Any:
    import jax

    return jax.tree.leaves(tuple(args))[0]


def _line(error: Exception) -> str:
    """Return an error in one line; without its type if that is ValueError or TypeError."""
    text = " ".join(str(error).split())[:400]
    text = text.removeprefix("check_rule: ")
    return (
        text
        if isinstance(error, (ValueError, TypeError)) and text
        else (f"{type(error).__name__}: {text}" if text else type(error).__name__)
    )
