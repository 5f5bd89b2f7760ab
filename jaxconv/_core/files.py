"""Write files so that no reader ever sees an incomplete one."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, and move it to `path` once the writing is done.

    Raises:
        OSError: it cannot be written; the error has the name of the file.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write the text, and replace the file only once it is complete."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write JSON that every reader accepts, so without NaN and infinities.

    Raises:
        ValueError: a number is not finite.
    """
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
