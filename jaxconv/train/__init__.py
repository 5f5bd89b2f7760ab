"""Training a ConvNet with hand-written gradients, and writing down how it went.

config.py      what a run is: one frozen dataclass, which is also the command line
data/          images and labels: bundled, published, or your own
optimizer.py   what makes a step of a gradient
devices.py     one batch on several devices
step.py        the jit-compiled functions: one training step, one evaluation
verify.py      hand-written gradients against autodiff, on a real batch, leaf by leaf
record.py      the output folder
checkpoint.py  where a run goes on that was cut off
pictures.py    what there is to see
loop.py        all of it together
cli.py         the command `python -m jaxconv.train`
"""

from jaxconv.train.config import Config
from jaxconv.train.record import load_params

__all__ = ["Config", "load_params"]
