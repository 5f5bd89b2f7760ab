"""`Shaped`: an array's shape as part of its type.

    x: Shaped[Array, "N *spatial C"]

is an Array with this shape: N examples, any number of spatial axes, and C channels. A name has one
size throughout a signature. The notation is that of the package jaxtyping: `*name` is any number of
axes, "" none, and `#` marks axes that may also be 1, because they broadcast. Where a layout can be
chosen, the shape is that of its default.

Python and type checkers ignore the shape: `Shaped` is `typing.Annotated`, and jaxtyping need not be
installed. tests/test_shapes.py checks the shapes on every sample of the catalogue.
"""

from typing import Annotated as Shaped

__all__ = ["Shaped"]
