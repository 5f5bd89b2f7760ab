"""Training of a ConvNet with hand-written gradients, and the files that a run leaves.

config.py      the settings of a run: one frozen dataclass, which is also the command line
limits.py      what these settings may be
flags.py       their names on the command line
data/          images and labels: bundled, published, or your own
optimizer.py   the optimisers by name
weights.py     what a run starts from instead of random numbers
devices.py     one batch on several devices
batch.py       what training and prediction share
step.py        the jit-compiled functions: one training step, one evaluation
verify.py      hand-written gradients compared with autodiff's on a real batch
record/        the output folder
checkpoint.py  the checkpoint from which an interrupted run continues
pictures/      figures of a run's curves and of its layers
report/        the page about a run
loop.py        a whole training run, which uses all of these
trained.py     a trained network: what it says of pictures
cli.py         the command `python -m jaxconv.train`
"""

from jaxconv.train.config import Config
from jaxconv.train.named import recipe
from jaxconv.train.record import load_params
from jaxconv.train.trained import load_run

__all__ = ["Config", "load_params", "load_run", "recipe"]
