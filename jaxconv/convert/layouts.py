"""How an array lies here and in PyTorch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """How an array of ours becomes PyTorch's, and how one of PyTorch's becomes ours."""

    theirs: Callable[[np.ndarray], np.ndarray]
    ours: Callable[[np.ndarray], np.ndarray]


def _as_it_is(a: np.ndarray) -> np.ndarray:
    return a


SAME = Layout(_as_it_is, _as_it_is)
KERNEL = Layout(lambda w: w.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0))
"""(H, W, I, O) here, (O, I, H, W) in PyTorch."""
DENSE = Layout(np.transpose, np.transpose)
"""(in, out) here, (out, in) in PyTorch."""
OVER_PLACES = Layout(lambda a: a[:, None, None], lambda a: a[:, 0, 0])
"""(C,) here, (C, 1, 1) in PyTorch."""
COUNT = Layout(lambda n: n.astype(np.int64), lambda n: n.astype(np.int32))
"""int32 here, int64 in PyTorch."""
