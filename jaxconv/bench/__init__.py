"""The benchmark: times of ops and whole training steps, compared with autodiff and PyTorch.

What is timed:
subject.py       the interface of everything that can be timed
call.py          a subject that is one call of an op
cases.py         the ops, each on arrays of one size, and the same ops in PyTorch
networks.py      the networks, each a training step
by_hand.py       functions of other libraries, timed with `jaxconv.by_hand`
flax_networks.py    the networks of Flax among them
equinox_network.py  the network of Equinox
torch_networks.py   some of them in PyTorch
catalogue.py     every op of the catalogue
convolution.py   one call of `conv_general_dilated`, written as a layer
geometries.py    convolutions of well-known networks
growth.py        convolutions of growing batches, sizes and channels
sections.py      all of these by name, and the contestants of each

How it is timed:
pytorch.py       arrays and ops in PyTorch's layout, so that the networks run there
floors.py        the machine's limits, and the least work that a program has to do
contestants.py   compile the contestants (ours, autodiff, PyTorch, …) and time them in turns
against.py       compare two checkouts in processes that take turns
child.py         the program of such a process

Whole runs:
epochs.py        epochs of all contestants: the command `python -m jaxconv.bench.epochs`
scaling.py       several devices and processes: the command `python -m jaxconv.bench.scaling`
links.py         the times of steps on many devices, computed from the speeds of links

What is written:
machine.py       the machine and the run
saved.py         the files of measurements
summary.py       means and other summaries of many cases
report.py        the table of a run
page.py          docs/benchmarks.md
charts.py        the charts of that page
cli.py           the command `python -m jaxconv.bench`
"""
