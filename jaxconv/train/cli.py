"""The command line of training: parse, run, and report an error in one line."""

import argparse
import io
import itertools
import signal
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import NoReturn

from jaxconv._core.extras import MissingExtraError, needs
from jaxconv.train import processes, record
from jaxconv.train.config import Config
from jaxconv.train.recipes import NAMED, recipe


def main(arguments: list[str] | None = None) -> None:
    """Train as the arguments say; None means those of the process.

    The process exits with 0 if the run is complete, 1 if gradients disagree or the loss diverges,
    2 for bad usage, and 130 if it was interrupted.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with needs("train"):
            import tyro
            from rich.console import Console

            from jaxconv.train import listing
            from jaxconv.train.loop import DivergedError, run
            from jaxconv.train.verify import GradientMismatchError
    except MissingExtraError as error:
        _stop(2, error)
    try:
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                config = tyro.cli(
                    Config, args=arguments, description=Config.__doc__, default=_begun(arguments)
                )
        except SystemExit as stop:
            if stop.code:
                _stop(2, _first_words(said.getvalue()))
            raise
        if config.list_models:
            Console().print(listing.models(), listing.NOTE, sep="\n")
            return
        result = run(processes.join(config))
    except (GradientMismatchError, DivergedError) as error:
        _stop(1, error)
    except (ValueError, OSError, MissingExtraError) as error:
        _stop(2, error)
    except MemoryError as error:
        _stop(2, f"the memory is not enough: {error}")
    except KeyboardInterrupt:  # before there was anything to save, or while it was saved
        sys.exit(130)
    if result.interrupted:
        sys.exit(130)


def _interrupt(number: int, frame: object) -> NoReturn:
    """Do on SIGTERM what Ctrl-C does: save what there is."""
    raise KeyboardInterrupt


def _begun(arguments: list[str] | None) -> Config:
    """Return the defaults of the flags: those of the run to resume, or of a recipe, if any."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", type=Path, nargs="?")
    parser.add_argument("--recipe", nargs="?")
    known = parser.parse_known_args(arguments)[0]
    if known.resume is not None:
        return record.begun(known.resume)
    return recipe(known.recipe) if known.recipe in NAMED else Config()


def _first_words(box: str) -> str:
    """Return what tyro says of an error in a box, without the box and the help below it."""
    _, *lines = [line.strip("│ ") for line in box.splitlines() if line.strip()]  # after its title
    inside = itertools.dropwhile(_is_rule, lines)
    said = itertools.takewhile(lambda line: not _is_rule(line), inside)
    text = " ".join(said).replace("Error parsing ", "").removeprefix("Config: ")
    return f"{text} (--help lists all flags)"


def _is_rule(line: str) -> bool:
    return set(line) <= set("─-╰╯")


def _stop(code: int, error: object) -> NoReturn:
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: {error.strerror}"
    print(f"train: {error}", file=sys.stderr, flush=True)
    sys.stderr = io.StringIO()  # this was the last word: no library has another
    sys.exit(code)
