"""What the files of rules of published packages share: the form of an entry, and helpers."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Keras and TensorFlow read these when they are imported.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

LOOSE = {"tolerance": 1e-5}
"""Options for a rule that solves an equation only to a tolerance."""

FIRST_ORDER = ("jit", "vmap", "scan", "checkpoint")
"""The transformations for a rule that cannot be differentiated twice."""


@dataclass(frozen=True)
class Stranger:
    """A gradient rule of a published package, with a verdict that was argued by hand.

    Attributes:
        package: the name of the package on PyPI.
        name: the name of the function within the package, and what is special about the call.
        make: returns the rule, its arguments and a reference or None; imports the package.
        verdict: whether the first derivatives are right at these arguments.
        argument: why the verdict holds.
        lacks: what the rule lacks besides, for example forward mode or second derivatives.
        x64: whether a program that uses the rule has x64 on.
        options: further keyword arguments of `check_rule`.
    """

    package: str
    name: str
    make: Callable[[], tuple[Any, ...]]
    verdict: bool
    argument: str
    lacks: str = ""
    x64: bool = True
    options: dict = field(default_factory=dict)


def normal(*shape, seed=0, scale=1.0):
    """Random normal numbers."""
    return scale * np.random.default_rng((seed, *shape)).standard_normal(shape)


def uniform(low, high, *shape, seed=0):
    """Random numbers between `low` and `high`."""
    return np.random.default_rng((seed, *shape)).uniform(low, high, shape)


def array(numbers):
    """The numbers in float64."""
    return np.asarray(numbers, float)
