"""Images and labels.

dataset.py   what all of these give, and what is asked of images and labels
digits.py    scikit-learn's digits
idx.py       the files of MNIST and Fashion-MNIST, and others of their kind
cifar10.py   CIFAR-10, in its binary version
npz.py       arrays of your own
pictures.py  folders of pictures of your own
download.py  the published files, by their checksums
sources.py   which of them a run asks for
"""

from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.sources import load

__all__ = ["Dataset", "load"]
