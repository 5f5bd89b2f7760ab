"""How many channels and classes a network of a file has, and which of its arrays depend on these."""

from collections.abc import Callable, Iterator

from jaxconv.convert.equations import Arrays, Equations

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
        found = leaves[theirs].shape if theirs in leaves else ()
        if len(found) == len(shape):
            steps = zip(found, shape, larger, strict=True)
            by_axis = [usual + (n - least) // (more - least) for n, least, more in steps if more > least]
            return by_axis[0]
    return usual


def _differing(
    sized: Sized, size: int
) -> Iterator[tuple[str, str, tuple[int, ...], tuple[int, ...]]]:
    """Yield the names of each array that depends on a size, and its shapes at this and the next."""
    for one, next_one in zip(sized(size), sized(size + 1), strict=True):
        if one.shape != next_one.shape:
            yield one.ours, one.theirs, one.shape, next_one.shape
