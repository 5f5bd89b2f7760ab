"""Files of named arrays: safetensors, whose reading runs no code of the file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing

PICKLES = (b"PK\x03\x04", b"\x80", b"\x8a", b"(", b"c")
"""What PyTorch's files begin with: a zip archive with a pickle inside, or a bare pickle."""


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name.

    Raises:
        ValueError: the file is not a safetensors file.
        OSError: the file cannot be read.
    """
    with needs("train"):
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    with Path(path).open("rb") as file:  # whose error has the name of the file
        beginning = file.read(9)
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        if beginning.startswith(PICKLES) and beginning[8:] != b"{":
            raise ValueError(_instead_of_a_pickle(Path(path))) from None
        raise ValueError(f"{path} is not a safetensors file: {error}") from None


def write(path: Path, leaves: Mapping[str, np.ndarray]) -> None:
    """Write the arrays as a safetensors file, and replace the file only once it is complete."""
    with needs("train"):
        from safetensors.numpy import save
    ordered = {name: np.asarray(leaf, order="C") for name, leaf in leaves.items()}
    with replacing(path) as beside:  # safetensors assumes the order "C"
        beside.write_bytes(save(ordered))


def _instead_of_a_pickle(path: Path) -> str:
    return (
        f"{path} is a pickle, which can run any code, so it is not opened; PyTorch makes a"
        " safetensors file of it: import torch, safetensors.torch as s;"
        f" s.save_file(torch.load({path.name!r}, weights_only=True),"
        f" {path.with_suffix('.safetensors').name!r})"
    )
