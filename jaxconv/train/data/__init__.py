"""Images and labels.

dataset.py   the type of a data set, and the checks of images and labels
split.py     a fifth of the images that is held out
digits.py    scikit-learn's digits
idx.py       the files of MNIST and Fashion-MNIST, and others in their format
cifar10.py   CIFAR-10, in its binary version
npz.py       your own arrays
pictures.py  your own folders of pictures
download.py  the published files, verified by their checksums
sources.py   the choice of the data set that a run asks for
"""

from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.sources import load

__all__ = ["Dataset", "load"]
