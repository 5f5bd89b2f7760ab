"""The kernel gradient as matrix products over blocks of images. Channels last, no groups.

    dw[(a, c), k] = Σ_blocks Σ_r X[(a, c), r] · dy[r, k]        r = (n, i) within the block

where X holds x as every element a of the window sees it. All of X would be as many times x as the
window has elements; a block of it fits a cache. It lies with r last, as a matrix product likes
its left factor.
"""

import itertools
import math

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.geometry import ConvGeometry

# Rows r in a block: from 1,024 to 4,096 nothing much changes, with more X leaves the cache.
_ROWS = 2048


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, block after block."""
    most = max(1, _ROWS // math.prod(g.output))
    images = next(m for m in range(min(most, max(len(x), 1)), 0, -1) if len(x) % m == 0)
    total = accumulator(x.dtype)
    edges = ((0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in g.covering))

    def add_block(dw: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
        x, dy = block
        rows = lax.pad(jnp.moveaxis(x, -1, 0), jnp.zeros((), x.dtype), edges)
        seen = []
        for a in itertools.product(*map(range, g.window)):
            start = [d * k for d, k in zip(g.dilation, a, strict=True)]
            stop = [f + s * (o - 1) + 1 for f, s, o in zip(start, g.stride, g.output, strict=True)]
            seen.append(
                lax.slice(rows, (0, 0, *start), (*rows.shape[:2], *stop), (1, 1, *g.stride))
            )
        product = lax.dot_general(
            jnp.concatenate(seen).reshape(len(dw), -1),
            dy.reshape(-1, dy.shape[-1]),
            (((1,), (0,)), ((), ())),
            precision=g.precision,
            preferred_element_type=total,
        )
        return dw + product, None

    channels = x.shape[-1], dy.shape[-1]
    zeros = jnp.zeros((math.prod(g.window) * channels[0], channels[1]), total)
    x, dy, zeros = aligned(x, dy, zeros)
    count = len(x) // images
    blocks = (x.reshape(count, images, *x.shape[1:]), dy.reshape(count, images, *dy.shape[1:]))
    dw, _ = lax.scan(add_block, zeros, blocks)
    return dw.reshape(*g.window, *channels)
