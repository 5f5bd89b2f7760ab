"""The networks of flax_networks.py that have an equal in PyTorch."""

import itertools
from collections.abc import Callable

import torch
from torch import nn

Loss = Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor]


def loss_of(name: str, device: str, **sizes: int) -> tuple[Loss, list[torch.Tensor]]:
    """Return a squared loss, given parameters (which the network holds) and images, and both."""
    network = {"Residual": Residual, "UNet": UNet}[name](**sizes).to(device)
    return lambda params, x: network(x).square().mean(), list(network.parameters())


class Residual(nn.Module):
    """`flax_networks.Residual`."""

    def __init__(self, width: int = 32, classes: int = 10):
        """Draw the parameters."""
        super().__init__()
        self.stem = _normalized(3, width, 7, 2)
        blocks, inputs = [], width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                blocks.append(_Block(inputs, width * 2**stage, stride))
                inputs = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.dense = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images."""
        x = nn.functional.max_pool2d(self.stem(x).relu(), 3, 2, padding=1)
        return self.dense(self.blocks(x).mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = _normalized(inputs, outputs, 3, stride)
        self.second = _normalized(outputs, outputs, 3, 1)
        alike = (inputs, stride) == (outputs, 1)
        self.shortcut = nn.Identity() if alike else _normalized(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.shortcut(x) + self.second(self.first(x).relu())).relu()


def _normalized(inputs: int, outputs: int, window: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, window, stride, padding=window // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class UNet(nn.Module):
    """`flax_networks.UNet`."""

    def __init__(self, width: int = 16, levels: int = 3, classes: int = 2):
        """Draw the parameters."""
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(
            [_twice(i, o) for i, o in zip([3, *widths], widths, strict=False)]
        )
        self.rise = nn.ModuleList([nn.ConvTranspose2d(o, i, 2, 2) for i, o in reversed(pairs)])
        self.join = nn.ModuleList([_twice(2 * i, i) for i, _ in reversed(pairs)])
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of each pixel."""
        passed = []
        *down, bottom = self.down
        for level in down:
            passed.append(level(x))
            x = nn.functional.max_pool2d(passed[-1], 2)
        x = bottom(x)
        for rise, join in zip(self.rise, self.join, strict=True):
            x = join(torch.cat([passed.pop(), rise(x)], 1))
        return self.last(x)


def _twice(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )
