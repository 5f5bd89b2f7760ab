"""Optional dependencies: an error names the extra that installs a missing module."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ModuleNotFoundError):
    """Raised if a module that one of jaxconv's extras installs is missing."""


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn an import error in this context into one that says how to install the module."""
    try:
        yield
    except MissingExtraError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{error.name} is not installed; it comes with: pip install 'jaxconv[{extra}]'",
            name=error.name,
        ) from None
