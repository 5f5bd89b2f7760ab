"""Parameters and state of networks, from and to the names and layouts of PyTorch's libraries.

python -m jaxconv.convert FROM TO --model NAME [--names torchvision|timm]

names/         the tables: our name of a layer = its name in torchvision or in timm
layouts.py     how kernels, dense layers and counts lie here and there
equations.py   an equation for each array, from a table and the shapes of a network
sizes.py       channels and classes, read off the shapes of a file
fit.py         whether a file is one of the network: errors that name each array
recognized.py  whose names a file has, with the three above
arrays.py      from_torch, to_torch
start.py       what training starts from
cli.py         the command
"""

from jaxconv.convert.arrays import from_torch, to_torch

__all__ = ["from_torch", "to_torch"]
