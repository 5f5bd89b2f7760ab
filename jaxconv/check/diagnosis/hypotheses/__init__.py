"""The known mistakes, tried in the order of these imports."""

from jaxconv.check.diagnosis.hypotheses import (  # isort: skip
    whole,
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
    "contributions",
    "cotangents",
    "masks",
    "points",
    "precision",
    "statistics",
    "whole",
]
