"""Diagnosis: make known mistakes on purpose and find the one that gives the wrong gradient."""

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.fit import diagnose
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.shapes import smaller

__all__ = ["Evidence", "Guess", "Observation", "diagnose", "register", "smaller"]
