"""What the command lines share: bad usage is answered in one line."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Of `python -m jaxconv.<name>`. Says what is wrong as "name: what is wrong", and exits 2."""

    def error(self, message: str) -> NoReturn:
        """Bad usage."""
        print(f"{self.prog.rpartition('.')[2]}: {message}", file=sys.stderr)
        sys.exit(2)


def count(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number, `least` or more."""

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
    """The type of an argument that names a file to write, found out before the work is done."""
    path = Path(text)
    folder = path.absolute().parent
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{folder} cannot be written to")
    return path
