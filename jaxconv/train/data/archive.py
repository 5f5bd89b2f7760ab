"""Arrays of a NumPy archive that are too large for the memory."""

import math
import zipfile
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jaxconv.train.data.blocks import BYTES
from jaxconv.train.data.stored import Stored, spilled

_LOCAL = 30
"""The bytes of a member's own header, before its name."""

_LENGTHS = slice(26, 30)
"""Where that header has the lengths of the name and of the extra field, 16 bits each."""


class _Header(NamedTuple):
    """What a .npy file says of its array, and where in the file the array begins."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    begin: int


def in_memory(archive: zipfile.ZipFile, name: str) -> int:
    """Return how many bytes an array of the archive takes as images: 1 a byte, 4 another number.

    Raises:
        ValueError: the member is not an array.
    """
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"{name} is not an array")
    with archive.open(f"{name}.npy") as file:
        header = _header(file, name)
    return math.prod(header.shape) * (1 if header.dtype == np.uint8 else 4)


def on_disk(path: Path, archive: zipfile.ZipFile, name: str) -> Stored:
    """Return an array of the archive at `path`, which is read where it lies, row by row.

    If it is compressed, it is unpacked first, into a file that ends with the process.

    Raises:
        ValueError: the member is not an array, or is stored column by column.
    """
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        header = _header(file, name)
        if header.fortran:
            raise ValueError(
                f"{name} is stored column by column and too large for the memory; save it as"
                f" np.ascontiguousarray({name})"
            )
        if info.compress_type == zipfile.ZIP_STORED:
            whole: IO[bytes] = path.open("rb")
            whole.seek(info.header_offset)
            lengths = np.frombuffer(whole.read(_LOCAL)[_LENGTHS], "<u2")
            begin = info.header_offset + _LOCAL + int(lengths.sum()) + header.begin
        else:
            whole, begin = spilled(iter(partial(file.read, BYTES), b"")), 0
    return Stored(whole, begin, header.shape, header.dtype)


def _header(file: IO[bytes], name: str) -> _Header:
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(file)
    except (KeyError, ValueError):
        raise ValueError(f"{name} is not an array") from None
    if dtype.hasobject:
        raise ValueError(f"{name} has Python objects, which can run code when they are read")
    return _Header(shape, fortran, dtype, file.tell())
