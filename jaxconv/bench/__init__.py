"""Measure how fast the ops and whole training steps are, beside autodiff and PyTorch.

What can be timed:
subject.py       what a thing that can be timed has to answer
call.py          a subject that is one call of an op
cases.py         the ops: each on arrays of one size, and the same in PyTorch
networks.py      the networks: each a training step
flax_network.py  one of them in Flax
catalogue.py     every op of the catalogue
convolution.py   one call of `conv_general_dilated`, written as a layer
geometries.py    convolutions of well-known networks
growth.py        convolutions of growing batches, sizes and channels
sections.py      all of these by name, and who takes part in each

How it is timed:
pytorch.py       arrays and ops in PyTorch's layout, so that the networks run there
floors.py        what the machine can do at best, and what a program has to do at least
contestants.py   compile the contestants and let them take turns
against.py       compare two checkouts, in processes that take turns
child.py         such a process

What is written:
machine.py       the machine and the run
saved.py         the files of measurements
summary.py       what many rows come to
report.py        the table of a run
page.py          docs/benchmarks.md
charts.py        its charts
cli.py           the command `python -m jaxconv.bench`
"""
