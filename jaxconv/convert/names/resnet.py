"""The layers of ResNets, whose names are torchvision's, timm's and ours alike."""

from collections.abc import Sequence

from jaxconv.convert.names.table import Names, table


def resnet(depths: Sequence[int], convolutions: int, first_shortcut: int) -> Names:
    """Return the names of a ResNet's layers.

    Args:
        depths: how many blocks each stage has.
        convolutions: how many convolutions a block has.
        first_shortcut: the first stage whose shortcut has a convolution; so have all later ones.
    """
    blocks = [
        {"stage": stage, "i": i, "n": n}
        for stage, depth in enumerate(depths, start=1)
        for i in range(depth)
        for n in range(1, convolutions + 1)
    ]
    shortcuts = [{"stage": stage} for stage in range(first_shortcut, len(depths) + 1)]
    return table(
        """
        conv1                          = conv1
        bn1                            = bn1
        layer{stage}.{i}.conv{n}       = layer{stage}.{i}.conv{n}
        layer{stage}.{i}.bn{n}         = layer{stage}.{i}.bn{n}
        fc                             = fc
        """,
        blocks,
    ) | table(
        """
        layer{stage}.0.downsample.0    = layer{stage}.0.downsample.0
        layer{stage}.0.downsample.1    = layer{stage}.0.downsample.1
        """,
        shortcuts,
    )


RESNET18: Names = resnet((2, 2, 2, 2), convolutions=2, first_shortcut=2)
RESNET34: Names = resnet((3, 4, 6, 3), convolutions=2, first_shortcut=2)
RESNET50: Names = resnet((3, 4, 6, 3), convolutions=3, first_shortcut=1)
