"""What a hypothesis is: a name, and a function that says what the wrong gradient would be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation

Predict = Callable[[Observation], np.ndarray | None]
PAGE = "docs/diagnoses.md"


@dataclass(frozen=True)
class Guess:
    """One way in which a mistake may have been made.

    Attributes:
        sentence: what is wrong, if this is it.
        predict: the gradient that would come of it in one call; None where it could not be made.
            What it leaves open, a masked array masks.
        tolerance: how well that must fit, relative to the gradient; None is to rounding.
    """

    sentence: str
    predict: Predict
    tolerance: float | None = None


Guesses = Callable[[Evidence], Iterator[Guess]]


@dataclass(frozen=True)
class Hypothesis:
    """A known mistake.

    Attributes:
        name: a stable identifier.
        guesses: the ways in which it can be made, the simplest first.
        page: where it is explained.
        scaled: whether it is also looked for together with a constant factor.
    """

    name: str
    guesses: Guesses
    page: str
    scaled: bool


HYPOTHESES: dict[str, Hypothesis] = {}
"""All known mistakes, the simplest first."""


def register(
    name: str, page: str | None = None, *, scaled: bool = True
) -> Callable[[Guesses], Guesses]:
    """Make a function from `Evidence` to guesses a hypothesis, to be tried after the others.

    Args:
        name: a stable identifier, not taken yet.
        page: where the mistake is explained; None is its section of this package's page.
        scaled: whether it is also looked for together with a constant factor.

    Returns:
        A decorator.

    Raises:
        ValueError: the name is taken.
    """
    if name in HYPOTHESES:
        raise ValueError(f"register: there is a hypothesis {name!r} already")

    def take(guesses: Guesses) -> Guesses:
        HYPOTHESES[name] = Hypothesis(name, guesses, page or f"{PAGE}#{name}", scaled)
        return guesses

    return take
