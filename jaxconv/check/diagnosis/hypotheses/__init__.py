"""The known mistakes. The order of these imports is the order in which they are tried."""

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
