"""Records of dropout."""

import numpy as np

from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal

# Shape, axes that are dropped together, and rate.
CALLS = (
    ((2, 3, 5), (), 0.5),
    ((2, 3, 5, 9), (1, -2), 0.3),
    ((), (), 0.5),
    ((0, 3), (), 0.2),
    ((3, 0), (), 0.2),
    ((2, 3, 5), (-1,), 0.25),
    ((4, 17), 0, 0.1),
    ((2, 3), (), 0),
    ((2, 3), (), 1.0),
)
PATHS = (((5, 3, 2), 0.5), ((17,), 0.25), ((0, 3), 0.5), ((2, 2, 3, 1), 0.1), ((3, 2), 1))


def _key(seed: int) -> np.ndarray:
    """Return a raw key like those of `jax.random.PRNGKey`."""
    return np.array([0, seed], np.uint32)


def _dropout(seed: int) -> Sample:
    shape, axes, rate = CALLS[seed % 9]
    options = {"rate": rate, "broadcast_axes": axes}
    return Sample({"x": normal(seed, shape)}, {"key": _key(seed)}, options)


def _drop_path(seed: int) -> Sample:
    shape, rate = PATHS[seed % 5]
    return Sample({"x": normal(seed, shape)}, {"key": _key(seed)}, {"rate": rate})


def _large() -> Sample:
    x = normal(0, (8, 17, 16, 24))
    return Sample({"x": x}, {"key": _key(0)}, {"rate": 0.1})


def _pins():
    x = np.array([np.nan, np.inf, -np.inf, 0.0])
    for rate, y, dx in (
        (0.0, x, x),
        (1.0, np.zeros(4), np.zeros(4)),
    ):
        yield Pinned(
            f"NaN and infinities, rate {rate}",
            Sample({"x": x}, {"key": _key(0)}, {"rate": rate}),
            dy=x,
            y=y,
            gradients={"x": dx},
        )


def _common_refusals(op: str):
    x, key = np.zeros((2, 3)), _key(0)
    for rate in (-0.1, 1.5, 2):
        yield value_error(f"{op}: rate must be in [0, 1], but got {rate!r}", x, rate, key)
    must = f"{op}: key must be a key of jax.random.key or jax.random.PRNGKey"
    for wrong in (0, None, [0, 1]):
        yield type_error(f"{must}, but got {wrong!r}", x, 0.5, wrong)
    for dtype in ("int32", "float32"):
        yield type_error(f"{must}, but got an array of {dtype}", x, 0.5, key.astype(dtype))
    for shape in ((), (3,), (4, 2)):
        must = f"{op}: key must be one key, of shape (2,)"
        message = f"{must}, but its shape is {shape}"
        yield value_error(message, x, 0.5, np.zeros(shape, np.uint32))


def _dropout_refusals():
    yield from _common_refusals("dropout")
    x, key = np.zeros((2, 3)), _key(0)
    for axes in (2, (0, -3), [5]):
        must = "dropout: broadcast_axes must be any different axes of x of shape (2, 3)"
        yield value_error(f"{must}, but got {axes!r}", x, 0.5, key, broadcast_axes=axes)
    for axes in ((0, 0), (1, -1)):
        yield value_error(f"{must}, but got {axes!r}", x, 0.5, key, broadcast_axes=axes)
    for axis in (1.0, None, "0", True):
        message = f"dropout: broadcast_axes must be an int, but got {axis!r}"
        yield type_error(message, x, 0.5, key, broadcast_axes=axis)
        yield type_error(message, x, 0.5, key, broadcast_axes=(0, axis))


def _drop_path_refusals():
    yield from _common_refusals("drop_path")
    message = "drop_path: x must be (N, ...), but its shape is ()"
    yield value_error(message, np.zeros(()), 0.5, _key(0))


RECORDS = (
    Record(
        name="dropout",
        sample=_dropout,
        large=_large,
        transformed=(0, 1),
        pinned=tuple(_pins()),
        refusals=_dropout_refusals,
        by_example=(),  # the random mask depends on the number of elements
    ),
    Record(
        name="drop_path",
        sample=_drop_path,
        large=_large,
        transformed=(0,),
        pinned=tuple(_pins()),
        refusals=_drop_path_refusals,
        by_example=(),
    ),
)
