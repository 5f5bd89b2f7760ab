"""The sections of the benchmark: the cases of each and its contestants."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxconv.bench.contestants import ALL, DEFAULTS, OURS_TWICE, PYTORCH
from jaxconv.bench.subject import Subject

Cases = Mapping[str, Subject]
"""Cases of the benchmark by name."""


class Section(NamedTuple):
    """A group of cases.

    Attributes:
        load: returns the cases by name; only this imports their module.
        contestants: the contestants that are timed on each case.
    """

    load: Callable[[], Cases]
    contestants: tuple[str, ...]


def _ops() -> Cases:
    from jaxconv.bench import cases

    return cases.CASES


def _networks() -> Cases:
    from jaxconv.bench import networks

    return networks.NETWORKS


def _functions() -> Cases:
    from jaxconv.bench import by_hand

    return by_hand.FUNCTIONS


def _catalogue() -> Cases:
    from jaxconv.bench import catalogue

    return catalogue.OPS


def _geometries() -> Cases:
    from jaxconv.bench import geometries

    return geometries.GEOMETRIES


def _growth() -> Cases:
    from jaxconv.bench import growth

    return growth.POINTS


SECTIONS = {
    "ops": Section(_ops, ALL),
    "networks": Section(_networks, ALL),
    "functions": Section(_functions, (*DEFAULTS, PYTORCH)),
    "catalogue": Section(_catalogue, ALL),
    "geometries": Section(_geometries, DEFAULTS),
    "growth": Section(_growth, OURS_TWICE),
}


class Case(NamedTuple):
    """One case and its section."""

    section: str
    name: str
    subject: Subject

    @property
    def contestants(self) -> tuple[str, ...]:
        """The contestants that are timed on this case."""
        return SECTIONS[self.section].contestants


def cases_of(*sections: str) -> list[Case]:
    """Return all cases of these sections, in order."""
    return [
        Case(section, name, subject)
        for section in sections
        for name, subject in SECTIONS[section].load().items()
    ]
