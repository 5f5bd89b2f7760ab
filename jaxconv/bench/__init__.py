"""How fast the ops and whole training steps are, beside autodiff and PyTorch.

subject.py       what can be timed: a few questions to be answered
cases.py         the ops: each on arrays of one size, and the same in PyTorch
networks.py      the networks: each a training step
flax_network.py  one of them in Flax
pytorch.py       arrays and ops in PyTorch's layout, so that the networks run there
floors.py        what the machine can do at best, and what a program has to do at least
contestants.py   compiling, and taking turns
report.py        the table, as Markdown, JSON or a picture, and the machine it comes from
cli.py           the command `python -m jaxconv.bench`
"""
