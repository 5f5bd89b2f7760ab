"""Which mistake explains a wrong gradient: known ones are made on purpose, and compared with it."""

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.fit import diagnose
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.shapes import smaller

__all__ = ["Evidence", "Guess", "Observation", "diagnose", "register", "smaller"]
