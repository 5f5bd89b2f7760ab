"""The output folder of a run; none of its files is ever half-written.

folder.py    the folder: a new one, and one process at a time
settings.py  config.json: the settings and the environment of the run
images.py    data.json: what the network has seen
metrics.py   metrics.csv: a line for each epoch
params.py    best.safetensors, params.safetensors: parameters and state of the network
diverged.py  diverged.npz: the step in which the loss became NaN or infinite
resume.py    an interrupted run: its settings, and what must be as it was
"""

from jaxconv.train.record.diverged import DIVERGED, save_diverged
from jaxconv.train.record.folder import locked, make_folder
from jaxconv.train.record.images import DATA, load_data, save_data, scale_of_run
from jaxconv.train.record.metrics import METRICS, Epoch, best_of, load_metrics, save_metrics
from jaxconv.train.record.params import BEST, load_params, load_variables, save_variables
from jaxconv.train.record.resume import begun, check_same_data, going_on
from jaxconv.train.record.settings import CONFIG, environment, load_config, save_config

__all__ = [
    "BEST",
    "CONFIG",
    "DATA",
    "DIVERGED",
    "METRICS",
    "Epoch",
    "begun",
    "best_of",
    "check_same_data",
    "environment",
    "going_on",
    "load_config",
    "load_data",
    "load_metrics",
    "load_params",
    "load_variables",
    "locked",
    "make_folder",
    "save_config",
    "save_data",
    "save_diverged",
    "save_metrics",
    "save_variables",
    "scale_of_run",
]
