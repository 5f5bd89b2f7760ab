"""The layers of MobileNetV2, which PyTorch's libraries name by their places.

torchvision counts the blocks; timm counts the stages, and the blocks of each.
"""

from jaxconv.convert.names.table import Names, table
from jaxconv.models.mobilenet import STAGES

_places = [(stage, i) for stage, (_, _, depth, _) in enumerate(STAGES) for i in range(depth)]
BLOCKS = [{"n": n, "stage": stage, "i": i} for n, (stage, i) in enumerate(_places, start=1)]
"""Of each block, n is our number from 1, and i its number in its stage, both of them from 0."""

TORCHVISION: Names = table(
    """
    stem.conv                = features.0.0
    stem.norm                = features.0.1
    block1.depthwise.conv    = features.1.conv.0.0
    block1.depthwise.norm    = features.1.conv.0.1
    block1.project.conv      = features.1.conv.1
    block1.project.norm      = features.1.conv.2
    block{n}.expand.conv     = features.{n}.conv.0.0
    block{n}.expand.norm     = features.{n}.conv.0.1
    block{n}.depthwise.conv  = features.{n}.conv.1.0
    block{n}.depthwise.norm  = features.{n}.conv.1.1
    block{n}.project.conv    = features.{n}.conv.2
    block{n}.project.norm    = features.{n}.conv.3
    head.conv                = features.18.0
    head.norm                = features.18.1
    classifier               = classifier.1
    """,
    BLOCKS[1:],
)

TIMM: Names = table(
    """
    stem.conv                = conv_stem
    stem.norm                = bn1
    block1.depthwise.conv    = blocks.0.0.conv_dw
    block1.depthwise.norm    = blocks.0.0.bn1
    block1.project.conv      = blocks.0.0.conv_pw
    block1.project.norm      = blocks.0.0.bn2
    block{n}.expand.conv     = blocks.{stage}.{i}.conv_pw
    block{n}.expand.norm     = blocks.{stage}.{i}.bn1
    block{n}.depthwise.conv  = blocks.{stage}.{i}.conv_dw
    block{n}.depthwise.norm  = blocks.{stage}.{i}.bn2
    block{n}.project.conv    = blocks.{stage}.{i}.conv_pwl
    block{n}.project.norm    = blocks.{stage}.{i}.bn3
    head.conv                = conv_head
    head.norm                = bn2
    classifier               = classifier
    """,
    BLOCKS[1:],
)
