"""Whether the arrays of a file are those of a network; the error names each one that is not."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from jaxconv.convert.equations import Arrays, Equation, Equations

MOST_NAMED = 10
"""As many arrays are named in an error."""

MOST_BATCHES = np.iinfo(np.int32).max


def check(what: str, all_of_them: Equations, leaves: Arrays) -> None:
    """Raise ValueError if an array is missing, unknown, or of another shape or kind.

    The names are those of the file; `what` is the beginning of the message.
    """
    wrong = list(_wrong(all_of_them, leaves))
    if wrong:
        more = [f"and {len(wrong) - MOST_NAMED} more"] if len(wrong) > MOST_NAMED else []
        raise ValueError(f"{what}: {'; '.join(wrong[:MOST_NAMED] + more)}")


def with_counts(all_of_them: Equations, leaves: Arrays) -> dict[str, np.ndarray]:
    """Return the arrays, with numbers of batches that are 0 if the file has none at all.

    PyTorch did not count batches before its version 0.4.1, and it reads such files as this does.
    """
    counts = [each.theirs for each in all_of_them if each.counts]
    if any(name in leaves for name in counts):
        return dict(leaves)
    return dict(leaves) | {name: np.zeros((), np.int32) for name in counts}


def _wrong(all_of_them: Equations, leaves: Arrays) -> Iterator[str]:
    known = {each.theirs for each in all_of_them}
    yield from (f"{each.theirs} is missing" for each in all_of_them if each.theirs not in leaves)
    yield from (f"{name} is unknown" for name in leaves if name not in known)
    for each in all_of_them:
        if each.theirs in leaves:
            yield from _wrong_with(each, leaves[each.theirs])


def _wrong_with(each: Equation, leaf: np.ndarray) -> Iterator[str]:
    if leaf.shape != each.shape:
        yield f"{each.theirs} should be {list(each.shape)}, but is {list(leaf.shape)}"
    elif not jnp.issubdtype(leaf.dtype, jnp.integer if each.counts else jnp.floating):
        kind = "integers" if each.counts else "floats"
        yield f"{each.theirs} should be {kind}, but is {leaf.dtype}"
    elif each.counts and leaf.max() > MOST_BATCHES:
        yield f"{each.theirs} should be at most {MOST_BATCHES}, but is {leaf.max()}"
