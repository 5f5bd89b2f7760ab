"""Measure our speed and that of autodiff and PyTorch: `python scripts/bench.py --help`."""

import os

# Set before jaxlib is loaded: XLA warns of every array of autodiff's that is larger than the pieces
# of memory we let it ask for (jaxconv/compiler.py), with hundreds of lines for a pool.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxconv.bench.cli import main

if __name__ == "__main__":
    main()
