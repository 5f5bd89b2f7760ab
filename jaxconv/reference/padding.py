"""Reference implementation of `jaxconv.pad`, differentiated by JAX."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import PadMode, PairsLike
from jaxconv._core.shapes import Shaped

JNP_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    x: Shaped[Array, "*shape"], widths: PairsLike, *, mode: PadMode = "constant", value: float = 0.0
) -> Shaped[Array, "*padded"]:
    """See `jaxconv.pad`."""
    if x.ndim == 0:
        return x
    grown = [(max(low, 0), max(high, 0)) for low, high in widths]
    if mode == "constant":
        x = jnp.pad(x, grown, constant_values=np.asarray(value).astype(x.dtype))
    else:
        x = jnp.pad(x, grown, mode=JNP_MODES[mode])
    kept = tuple(
        slice(max(-low, 0), size - max(-high, 0))
        for (low, high), size in zip(widths, x.shape, strict=True)
    )
    return x[kept]
