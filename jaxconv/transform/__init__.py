"""The rules for any JAX function: `by_hand` puts them in place, `survey` shows what it finds."""

from jaxconv.transform.by_hand import by_hand
from jaxconv.transform.survey import Survey, survey

__all__ = ["Survey", "by_hand", "survey"]
