"""How fast it is, beside autodiff and PyTorch: `python scripts/bench.py --help`."""

from jaxconv.bench.cli import main

if __name__ == "__main__":
    main()
