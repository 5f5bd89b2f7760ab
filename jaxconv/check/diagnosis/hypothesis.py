"""`Hypothesis`: a known mistake, with a function that predicts the wrong gradient it gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation

Predict = Callable[[Observation], np.ndarray | None]
PAGE = "https://github.com/jaxconv/jaxconv/blob/main/docs/diagnoses.md"


@dataclass(frozen=True)
class Guess:
    """One way in which a mistake may have been made.

    Attributes:
        sentence: the mistake in words, for the report.
        predict: a function of one call that returns the gradient this mistake would give, or None
            if the mistake is impossible there. A masked array masks the elements that the guess
            says nothing about.
        tolerance: the error allowed, relative to the gradient; None allows rounding only.
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
        guesses: yields the ways in which the mistake can be made, the simplest first.
        page: the documentation that explains it.
        scaled: whether to look for the mistake together with a constant factor too.
        takes_complex: whether the mistake is looked for among complex numbers, too.
    """

    name: str
    guesses: Guesses
    page: str
    scaled: bool
    takes_complex: bool


HYPOTHESES: dict[str, Hypothesis] = {}
"""All known mistakes, the simplest first."""


def register(
    name: str, page: str | None = None, *, scaled: bool = True, takes_complex: bool = False
) -> Callable[[Guesses], Guesses]:
    """Register a function from `Evidence` to guesses as the last hypothesis to try.

    Args:
        name: a stable identifier that is not taken yet.
        page: where the mistake is explained; None means its section in docs/diagnoses.md.
        scaled: whether to look for the mistake together with a constant factor too.
        takes_complex: whether to look for the mistake among complex numbers, too.

    Returns:
        A decorator.

    Raises:
        ValueError: the name is taken.
    """
    if name in HYPOTHESES:
        raise ValueError(f"register: there is a hypothesis {name!r} already")

    def take(guesses: Guesses) -> Guesses:
        HYPOTHESES[name] = Hypothesis(
            name, guesses, page or f"{PAGE}#{name}", scaled, takes_complex
        )
        return guesses

    return take
