"""Train a ConvNet with hand-written gradients: `python scripts/train.py --help`."""

from jaxconv.train.cli import main

if __name__ == "__main__":
    main()
