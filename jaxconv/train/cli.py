"""The command line of training: parse, run, and say in one line what went wrong."""

import sys
from typing import NoReturn

from jaxconv.extras import MissingExtraError, needs
from jaxconv.train.config import Config


def main(arguments: list[str] | None = None) -> None:
    """Train as the arguments say (those of the process, if None).

    Exits with 0 when the run is complete, 1 if gradients disagree or the loss diverges, 2 for
    bad usage, 130 if it was interrupted.
    """
    try:
        with needs("train"):
            import tyro

            from jaxconv.train.loop import DivergedError, run
            from jaxconv.train.verify import GradientMismatchError
    except MissingExtraError as error:
        _stop(2, error)
    config = tyro.cli(Config, args=arguments, description=Config.__doc__)
    try:
        result = run(config)
    except (GradientMismatchError, DivergedError) as error:
        _stop(1, error)
    except (ValueError, OSError, MissingExtraError) as error:
        _stop(2, error)
    except KeyboardInterrupt:  # before there was anything to save, or while it was saved
        sys.exit(130)
    if result.interrupted:
        sys.exit(130)


def _stop(code: int, error: Exception) -> NoReturn:
    print(f"train: {error}", file=sys.stderr)
    sys.exit(code)
