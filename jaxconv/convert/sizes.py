"""The channels and classes of a network, read off the shapes of its arrays."""

from collections.abc import Callable, Iterator

from jaxconv.convert.equations import Arrays, Equations

Shape = tuple[int, ...]
Sized = Callable[[int], Equations]
"""The equations of a network of this size."""


def depending(sized: Sized, size: int) -> list[str]:
    """Return our names of the arrays whose shapes depend on a size."""
    return [ours for ours, _, _, _ in _differing(sized, size)]


def read_off(sized: Sized, leaves: Arrays, usual: int) -> int:
    """Return the size at which the network has the shapes of a file.

    The first array decides whose shape depends on the size; if the file has none, it is the usual.
    """
    for _, theirs, shape, larger in _differing(sized, usual):
        if theirs in leaves and leaves[theirs].ndim == len(shape):
            return usual + _steps(leaves[theirs].shape, shape, larger)
    return usual


def _steps(found: Shape, shape: Shape, larger: Shape) -> int:
    """Return how many times the step from `shape` to `larger` leads to `found`, along one axis."""
    axis = next(i for i, least in enumerate(shape) if least != larger[i])
    return (found[axis] - shape[axis]) // (larger[axis] - shape[axis])


def _differing(sized: Sized, size: int) -> Iterator[tuple[str, str, Shape, Shape]]:
    """Yield the names of each array that depends on a size, and its shapes at this and the next."""
    for one, next_one in zip(sized(size), sized(size + 1), strict=True):
        if one.shape != next_one.shape:
            yield one.ours, one.theirs, one.shape, next_one.shape
