"""Training of a ConvNet with hand-written gradients, and the files that a run leaves.

The settings:

config.py      the settings of a run: one frozen dataclass, which is also the command line
limits.py      what they may be
flags.py       their names on the command line
recipes.py     settings of whole runs by name
changes.py     how the training images are changed, where the user has not said it
cli.py         the command `python -m jaxconv.train`

The data:

data/          images and labels: bundled, published, or your own
balance.py     what a run knows of its training images as a whole
normalize.py   the mean and the standard deviation of their channels
augment/       random changes of a batch, inside the compiled step
batch.py       what training and prediction share
feed.py        the batches of an epoch
devices.py     one batch on several devices
processes.py   one run in several processes
noise.py       what C++ libraries print meanwhile

The steps:

loss.py        the loss of a batch, and what is counted beside it
optimizer.py   the optimisers by name
average.py     the moving average of the parameters
weights.py     what a run starts from instead of random numbers
step.py        the jit-compiled functions: one training step, one evaluation
promotion.py   dtypes and ranks in these functions, whatever the user has asked of JAX
verify/        hand-written gradients compared with autodiff's on a real batch
points.py      where a run is, and what can stop it there
walk.py        the steps of an epoch
trainer.py     the epochs of a run
loop.py        a whole training run, which uses all of these

What a run says and leaves:

listing.py     tables of networks and of their layers
messages.py    what it says on the screen
log.py         its log file
board.py       what TensorBoard shows of it
first.py       the first batch as the network sees it
checkpoint.py  the checkpoint from which an interrupted run continues
results.py     the files that it writes in the end
record/        its output folder
pictures/      figures of its curves and of its layers
report/        the page about it
trained.py     a trained network: what it says of pictures
"""

from jaxconv.train.config import Config
from jaxconv.train.recipes import recipe
from jaxconv.train.record import load_params
from jaxconv.train.trained import load_run

__all__ = ["Config", "load_params", "load_run", "recipe"]
