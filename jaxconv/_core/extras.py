"""Optional dependencies: imported where they are used, and named when they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ModuleNotFoundError):
    """A module that comes with one of jaxconv's extras is not installed."""


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports: a missing module is answered with the command that installs it."""
    try:
        yield
    except MissingExtraError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{error.name} is not installed; it comes with: pip install 'jaxconv[{extra}]'",
            name=error.name,
        ) from None
