"""The known mistakes, tried in the order of these imports."""

from jaxconv.check.diagnosis.hypotheses import (  # isort: skip
    finite,
    whole,
    conjugates,
    arrangement,
    cotangents,
    masks,
    statistics,
    contributions,
    points,
    borders,
    parts,
    derivatives,
    geometry,
    precision,
)

__all__ = [
    "arrangement",
    "borders",
    "conjugates",
    "contributions",
    "cotangents",
    "derivatives",
    "finite",
    "geometry",
    "masks",
    "parts",
    "points",
    "precision",
    "statistics",
    "whole",
]
