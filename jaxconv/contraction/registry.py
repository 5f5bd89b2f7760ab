"""All forms, in the order in which they are asked.

Of several forms that apply the first is taken. Where two can apply to one spec, the comment says
why the first is the better one.
"""

from jaxconv.contraction import (
    apart,
    blocks,
    depth,
    depth_alone,
    depthwise,
    depthwise_back,
    depthwise_kernel,
    dilated,
    empty,
    groups,
    inner_products,
    interleaved,
    matrix,
    outer_products,
    phases,
    plain,
    tiles,
    turned,
)
from jaxconv.contraction.form import Contraction, Form

FORMS: tuple[Form, ...] = (
    *empty.FORMS,
    # Groups, from one channel each to many: few channels fill a vector only with their neighbours.
    *depthwise_back.FORMS,
    *depthwise_kernel.FORMS,
    *depthwise.FORMS[:1],
    *interleaved.FORMS,
    *depthwise.FORMS[1:],
    *groups.FORMS,
    # No groups. Tiles and products before what takes any window: they copy x once or not at all.
    *matrix.FORMS,
    *tiles.FORMS[:-1],
    *outer_products.FORMS,
    *inner_products.FORMS,
    # Three dimensions before two: what follows is measured in one and two.
    *depth_alone.FORMS,
    *depth.FORMS,
    *turned.FORMS,
    *phases.FORMS,
    # Few and small groups, whose phases are not worth compiling.
    *tiles.FORMS[-1:],
    # At once before in blocks: with many channels a block's kernel gradient fits no cache.
    *apart.FORMS,
    *blocks.FORMS,
    *dilated.FORMS,
    *plain.FORMS,
)


def forms_of(contraction: Contraction, platform: str | None) -> tuple[Form, ...]:
    """Those of one contraction that a platform and this version of JAX can take, in order."""
    return tuple(
        form
        for form in FORMS
        if form.contraction == contraction
        and (not form.platforms or platform in form.platforms)
        and form.available
    )
