"""All forms, in the order in which the planner tries them.

The planner uses the first form that applies. Where two forms can apply to one spec, a comment says
why the first is better.
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
    padded,
    phases,
    plain,
    tiles,
    turned,
)
from jaxconv.contraction.form import Contraction, Form

FORMS: tuple[Form, ...] = (
    *empty.FORMS,
    # With groups, from one channel per group to many: small groups fill a vector only together.
    *depthwise_back.FORMS,
    *depthwise_kernel.FORMS,
    *depthwise.FORMS[:1],
    *interleaved.FORMS,
    *depthwise.FORMS[1:],
    *groups.FORMS,
    # Without groups. Tiles and products precede the forms for any window: they copy x at most once.
    *matrix.FORMS,
    *tiles.FORMS[:-1],
    # Small images precede the forms that would hand their padding to XLA.
    *padded.FORMS,
    *outer_products.FORMS,
    *inner_products.FORMS,
    # Three dimensions precede two: the later forms were measured in one and two dimensions only.
    *depth_alone.FORMS,
    *depth.FORMS,
    *turned.FORMS,
    *phases.FORMS,
    # Tiles of few and small groups, for which the phases above are not worth compiling.
    *tiles.FORMS[-1:],
    # All images at once precede blocks of them: with many channels even a block's dw fits no cache.
    *apart.FORMS,
    *blocks.FORMS,
    *dilated.FORMS,
    *plain.FORMS,
)


def forms_of(contraction: Contraction, platform: str | None) -> tuple[Form, ...]:
    """Return the forms of one contraction that this platform and this JAX can use, in order."""
    return tuple(
        form
        for form in FORMS
        if form.contraction == contraction
        and (not form.platforms or platform in form.platforms)
        and form.available
    )
