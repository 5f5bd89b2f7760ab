"""The layers of ConvNeXt-Tiny.

torchvision counts the stages and what is between them, timm the stages from 0. Both name the scale
of a block itself, not a layer that has it.
"""

from jaxconv.convert.names.table import Names, table

STAGES = [{"n": n, "before": n - 1, "at": 2 * n - 1, "between": 2 * n - 2} for n in (1, 2, 3, 4)]
"""Of each stage, n is our number, `before` timm's, and `at` torchvision's; torchvision's number of
what leads to it is `between`."""

BLOCKS = [
    {**stage, "i": i}
    for stage, depth in zip(STAGES, (3, 3, 9, 3), strict=True)
    for i in range(depth)
]

TORCHVISION: Names = table(
    """
    stem.conv                       = features.0.0
    stem.norm                       = features.0.1
    stage{n}.{i}.depthwise          = features.{at}.{i}.block.0
    stage{n}.{i}.norm               = features.{at}.{i}.block.2
    stage{n}.{i}.dense1             = features.{at}.{i}.block.3
    stage{n}.{i}.dense2             = features.{at}.{i}.block.5
    stage{n}.{i}.layer_scale.scale  = features.{at}.{i}.layer_scale
    head.norm                       = classifier.0
    head.dense                      = classifier.2
    """,
    BLOCKS,
) | table(
    """
    stage{n}.downsample.norm        = features.{between}.0
    stage{n}.downsample.conv        = features.{between}.1
    """,
    STAGES[1:],
)

TIMM: Names = table(
    """
    stem.conv                       = stem.0
    stem.norm                       = stem.1
    stage{n}.{i}.depthwise          = stages.{before}.blocks.{i}.conv_dw
    stage{n}.{i}.norm               = stages.{before}.blocks.{i}.norm
    stage{n}.{i}.dense1             = stages.{before}.blocks.{i}.mlp.fc1
    stage{n}.{i}.dense2             = stages.{before}.blocks.{i}.mlp.fc2
    stage{n}.{i}.layer_scale.scale  = stages.{before}.blocks.{i}.gamma
    head.norm                       = head.norm
    head.dense                      = head.fc
    """,
    BLOCKS,
) | table(
    """
    stage{n}.downsample.norm        = stages.{before}.downsample.0
    stage{n}.downsample.conv        = stages.{before}.downsample.1
    """,
    STAGES[1:],
)
