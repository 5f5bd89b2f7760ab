"""Convolutions of well-known networks, as their papers describe them.

Each is one call of `conv_general_dilated` as Flax makes it: all dilations are given, arrays are
NHWC and kernels HWIO unless a layer says "channels first", the x of a causal layer is padded
beforehand, and a transposed layer is the call that `lax.conv_transpose` makes. Sizes are those of
the paper's training images. The batch is chosen so that forward + backward of autodiff takes 5 to
300 ms on two cores. If one example would take longer, `Paper.smaller` says what was reduced.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from jaxconv.bench.convolution import Convolution


class Paper(NamedTuple):
    """Some layers of a network, and the paper that published it.

    Attributes:
        source: the authors and the year, or the number at arXiv.
        layers: the layers, by the paper's name for each or by its place.
        smaller: for each layer that was reduced, what is smaller than in the paper.
    """

    source: str
    layers: dict[str, Convolution]
    smaller: dict[str, str] = {}  # noqa: RUF012


def _images(
    batch: int, size: int, window: int, c_in: int, c_out: int, **options: Any
) -> Convolution:
    """Return a layer on square images, with a square window."""
    return Convolution(batch, (size, size), (window, window), c_in, c_out, **options)


def _depthwise(batch: int, size: int, window: int, channels: int, **options: Any) -> Convolution:
    """Return a depthwise layer on square images."""
    return _images(batch, size, window, channels, channels, groups=channels, **options)


def _line(
    batch: int, length: int, window: int, c_in: int, c_out: int, **options: Any
) -> Convolution:
    """Return a layer in one dimension."""
    return Convolution(batch, (length,), (window,), c_in, c_out, **options)


PAPERS = {
    "LeNet-5": Paper("LeCun et al. 1998", {
        "C1": _images(256, 32, 5, 1, 6, padding="VALID"),
        "C3": _images(256, 14, 5, 6, 16, padding="VALID"),
    }),
    "AlexNet": Paper("Krizhevsky, Sutskever & Hinton 2012", {
        "conv1": _images(2, 227, 11, 3, 96, stride=4, padding="VALID"),
        "conv2": _images(2, 27, 5, 96, 256, padding=2, groups=2),
        "conv3": _images(4, 13, 3, 256, 384, padding=1),
        "conv4 channels first": _images(
            4, 13, 3, 384, 384, padding=1, groups=2, channels_first=True
        ),
    }),
    "VGG-16": Paper("arXiv:1409.1556", {
        "conv1_1": _images(2, 224, 3, 3, 64),
        "conv2_2": _images(1, 112, 3, 128, 128),
        "conv3_2 channels first": _images(1, 56, 3, 256, 256, padding=1, channels_first=True),
        "conv5_1": _images(4, 14, 3, 512, 512),
    }),
    "GoogLeNet": Paper("arXiv:1409.4842", {
        "conv1": _images(2, 224, 7, 3, 64, stride=2),
        "inception 3a, 5×5": _images(16, 28, 5, 16, 32),
        "inception 3a, 1×1": _images(16, 28, 1, 192, 64),
    }),
    "Inception-v3": Paper("arXiv:1512.00567", {
        "17×17 grid, 1×7": Convolution(8, (17, 17), (1, 7), 128, 128),
        "17×17 grid, 7×1": Convolution(8, (17, 17), (7, 1), 128, 192),
        "reduction to 17×17": _images(4, 35, 3, 288, 384, stride=2, padding="VALID"),
    }),
    "ResNet-50": Paper("arXiv:1512.03385", {
        "conv1": _images(2, 224, 7, 3, 64, stride=2, padding=3),
        "conv2, 3×3": _images(4, 56, 3, 64, 64),
        "conv2, 1×1": _images(4, 56, 1, 64, 256),
        "conv3, shortcut": _images(4, 56, 1, 256, 512, stride=2),
        "conv3, 3×3 stride 2": _images(4, 56, 3, 128, 128, stride=2, padding=1),
        "conv5, 3×3 channels first": _images(8, 7, 3, 512, 512, padding=1, channels_first=True),
    }),
    "DenseNet-121": Paper("arXiv:1608.06993", {
        "block 1, 3×3": _images(4, 56, 3, 128, 32),
        "transition 1": _images(4, 56, 1, 256, 128),
    }),
    "ResNeXt-50": Paper(
        "arXiv:1611.05431",
        {"conv2, 32 groups": _images(1, 20, 3, 128, 128, groups=32),
         "conv3, 32 groups, stride 2": _images(
             1, 28, 3, 256, 256, stride=2, padding=1, groups=32),
         "conv5, 32 groups": _images(1, 7, 3, 1024, 1024, groups=32)},
        {"conv2, 32 groups": "20×20 instead of 56×56",
         "conv3, 32 groups, stride 2": "28×28 instead of 56×56"},
    ),
    "SqueezeNet": Paper("arXiv:1602.07360", {
        "fire2, expand 3×3": _images(8, 55, 3, 16, 64),
        "fire2, squeeze": _images(16, 55, 1, 96, 16),
    }),
    "Xception": Paper("arXiv:1610.02357", {
        "middle flow, depthwise": _depthwise(2, 19, 3, 728),
    }),
    "MobileNetV1": Paper("arXiv:1704.04861", {
        "conv1": _images(4, 224, 3, 3, 32, stride=2),
        "depthwise at 112": _depthwise(2, 112, 3, 32),
        "depthwise at 112, stride 2": _depthwise(2, 112, 3, 64, stride=2),
        "pointwise at 14": _images(8, 14, 1, 512, 512),
    }),
    "MobileNetV2": Paper("arXiv:1801.04381", {
        "depthwise at 112, stride 2": _depthwise(1, 112, 3, 96, stride=2),
        "depthwise at 56 channels first": _depthwise(1, 56, 3, 144, padding=1, channels_first=True),
        "expansion at 56": _images(4, 56, 1, 24, 144),
    }),
    "EfficientNet-B0": Paper("arXiv:1905.11946", {
        "stage 4, depthwise, stride 2": _depthwise(1, 56, 5, 144, stride=2),
        "stage 6, depthwise": _depthwise(1, 14, 5, 672),
    }),
    "ShuffleNet": Paper("arXiv:1707.01083", {
        "stage 2, 1×1 of 3 groups": _images(16, 28, 1, 240, 60, groups=3),
        "stage 2, depthwise": _depthwise(8, 28, 3, 60),
    }),
    "ConvNeXt-T": Paper("arXiv:2201.03545", {
        "stem": _images(8, 224, 4, 3, 96, stride=4, padding="VALID"),
        "stage 1, depthwise": _depthwise(1, 56, 7, 96),
        "stage 3, depthwise": _depthwise(1, 14, 7, 384),
        "downsampling 1": _images(8, 56, 2, 96, 192, stride=2, padding="VALID"),
    }),
    "RepLKNet-31B": Paper(
        "arXiv:2203.06717",
        {"stage 1, depthwise 31×31": _depthwise(1, 28, 31, 32),
         "stage 4, depthwise 13×13": _depthwise(1, 7, 13, 128)},
        {"stage 1, depthwise 31×31": "28×28 instead of 56×56, 32 channels instead of 128",
         "stage 4, depthwise 13×13": "128 channels instead of 1024"},
    ),
    "ViT-B/16": Paper("arXiv:2010.11929", {
        "patches": _images(4, 224, 16, 3, 768, stride=16, padding="VALID"),
    }),
    "U-Net": Paper(
        "arXiv:1505.04597",
        {"level 1, 3×3": _images(1, 188, 3, 64, 64, padding="VALID"),
         "up-convolution 1024→512": _images(1, 8, 2, 1024, 512, up=2),
         "up-convolution 128→64": _images(1, 49, 2, 128, 64, up=2),
         "last, 1×1": _images(4, 388, 1, 64, 2)},
        {"level 1, 3×3": "188×188 instead of 570×570",
         "up-convolution 1024→512": "8×8 instead of 28×28",
         "up-convolution 128→64": "49×49 instead of 196×196"},
    ),
    "FCN-8s": Paper("arXiv:1411.4038", {
        "upsampling by 8": _images(1, 34, 16, 21, 21, up=8, padding="VALID"),
    }),
    "DeepLabV3": Paper(
        "arXiv:1706.05587",
        {"block 4, rate 2": _images(2, 17, 3, 512, 512, dilation=2),
         "ASPP, rate 6": _images(1, 17, 3, 2048, 256, dilation=6),
         "ASPP, rate 12": _images(1, 17, 3, 2048, 256, dilation=12)},
        {"block 4, rate 2": "17×17 instead of 33×33", "ASPP, rate 6": "17×17 instead of 33×33",
         "ASPP, rate 12": "17×17 instead of 33×33"},
    ),
    "DCGAN": Paper("arXiv:1511.06434, 4×4 as in its authors' code", {
        "generator 512→256": _images(2, 8, 4, 512, 256, up=2),
        "generator 128→3": _images(8, 32, 4, 128, 3, up=2),
        "discriminator 64→128": _images(8, 32, 4, 64, 128, stride=2, padding=1),
    }),
    "SRCNN": Paper("arXiv:1501.00092", {
        "9×9": _images(16, 33, 9, 1, 64, padding="VALID"),
        "5×5": _images(64, 25, 5, 32, 1, padding="VALID"),
    }),
    "ESPCN": Paper("arXiv:1609.05158", {
        "layer 1": _images(128, 17, 5, 1, 64),
        "layer 3": _images(128, 17, 3, 32, 9),
    }),
    "C3D": Paper(
        "arXiv:1412.0767",
        {"conv1a": Convolution(1, (8, 56, 56), (3, 3, 3), 3, 64),
         "conv5a": Convolution(1, (2, 7, 7), (3, 3, 3), 512, 512)},
        {"conv1a": "8 frames of 56×56 instead of 16 of 112×112"},
    ),
    "3-D U-Net": Paper(
        "arXiv:1606.06650",
        {"level 1, 32→64": Convolution(1, (24, 24, 24), (3, 3, 3), 32, 64),
         "up-convolution 128→128": Convolution(1, (8, 8, 8), (2, 2, 2), 128, 128, up=2)},
        {"level 1, 32→64": "24×24×24 instead of 130×130×114",
         "up-convolution 128→128": "8×8×8 instead of 26×26×22"},
    ),
    "R(2+1)D": Paper(
        "arXiv:1711.11248",
        {"stem, spatial": Convolution(
            1, (4, 56, 56), (1, 7, 7), 3, 45, stride=(1, 2, 2),
            padding=((0, 0), (3, 3), (3, 3))),
         "conv2, spatial": Convolution(1, (8, 28, 28), (1, 3, 3), 64, 144),
         "conv2, temporal": Convolution(1, (8, 56, 56), (3, 1, 1), 144, 64)},
        {"stem, spatial": "4 frames of 56×56 instead of 16 of 112×112",
         "conv2, temporal": "8 frames instead of 16",
         "conv2, spatial": "8 frames of 28×28 instead of 16 of 56×56"},
    ),
    "PointNet": Paper("arXiv:1612.00593", {
        "shared layer 128→1024": _line(4, 1024, 1, 128, 1024),
    }),
    "WaveNet": Paper("arXiv:1609.03499, which gives no channels", {
        "dilation 2": _line(8, 4000 + 2, 2, 64, 128, padding="VALID", dilation=2),
        "dilation 512": _line(8, 4000 + 512, 2, 64, 128, padding="VALID", dilation=512),
    }),
    "TCN": Paper("arXiv:1803.01271", {
        "sequential MNIST, level 4": _line(
            32, 784 + 6 * 8, 7, 25, 25, padding="VALID", dilation=8
        ),
    }),
    "wav2vec 2.0": Paper("arXiv:2006.11477", {
        "encoder 1": _line(2, 16000, 10, 1, 512, stride=5, padding="VALID"),
        "encoder 2": _line(2, 3199, 3, 512, 512, stride=2, padding="VALID"),
        "positions, 16 groups": _line(1, 49, 128, 768, 768, padding=((64, 63),), groups=16),
    }),
    "Conformer": Paper("arXiv:2005.08100", {
        "depthwise, 32 taps": _line(2, 250, 32, 256, 256, groups=256),
    }),
    "M5": Paper("arXiv:1610.00087", {
        "conv1": _line(4, 32000, 80, 1, 128, stride=4),
        "conv2": _line(8, 2000, 3, 128, 128),
    }),
    "WaveGAN": Paper("arXiv:1802.04208", {
        "discriminator 64→128": _line(4, 4096, 25, 64, 128, stride=4),
        "generator 256→128": _line(1, 256, 25, 256, 128, up=4),
    }),
}  # fmt: skip


def _named() -> dict[str, Convolution]:
    return {
        f"{network}: {layer}": replace(
            convolution, source=", ".join(filter(None, (paper.source, paper.smaller.get(layer))))
        )
        for network, paper in PAPERS.items()
        for layer, convolution in paper.layers.items()
    }


GEOMETRIES = _named()
