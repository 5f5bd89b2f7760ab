"""Which mistake explains a wrong gradient: known ones are undone, and what is left is measured."""

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.fit import diagnose

__all__ = ["Evidence", "Observation", "diagnose"]
