"""PyTorch knows (N, C, *spatial) alone."""

import torch


def in_layout(layout, torch_op):
    """torch_op for an x in this layout."""
    if layout == "channels_first":
        return torch_op

    def with_channels_first(x, *rest):
        # A view of x would be in the channels-last memory format, in which max_pool3d says of
        # every window of −∞ alone that its maximum is position 0 of the whole image.
        x = x.movedim(-1, 1).clone(memory_format=torch.contiguous_format)
        return torch_op(x, *rest).movedim(1, -1)

    return with_channels_first


def spatial(shape, layout):
    """The sizes of the spatial dimensions."""
    return shape[2:] if layout == "channels_first" else shape[1:-1]
