"""The argument parser of the command lines, which reports an error in one line."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Parser of `python -m jaxconv.<name>`; it prints an error as "name: error" and exits 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message in one line and exit with status 2."""
        print(f"{self.prog.rpartition('.')[2]}: {message}", file=sys.stderr)
        sys.exit(2)


def count(least: int) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number of at least `least`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, but got {text!r}")
        return number

    return parse


def new_file(text: str) -> Path:
    """Return the path of a file to write; raise now if it cannot be written later."""
    path = Path(text)
    folder = path.absolute().parent
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{folder} cannot be written to")
    return path
