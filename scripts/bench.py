"""How fast it is, beside autodiff and PyTorch: `python scripts/bench.py --help`."""

import os

# Before jaxlib is loaded: XLA warns of every array of autodiff's that is larger than a piece of the
# memory it was asked for (jaxconv/compiler.py), hundreds of lines for a pool.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxconv.bench.cli import main

if __name__ == "__main__":
    main()
