"""The known mistakes, tried in the order of these imports."""

from jaxconv.check.diagnosis.hypotheses import (  # isort: skip
    whole,
    conjugates,
    arrangement,
    cotangents,
    masks,
    statistics,
    contributions,
    points,
    borders,
    precision,
)

__all__ = [
    "arrangement",
    "borders",
    "conjugates",
    "contributions",
    "cotangents",
    "masks",
    "points",
    "precision",
    "statistics",
    "whole",
]
