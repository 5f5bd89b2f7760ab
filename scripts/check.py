"""Check gradients: `python scripts/check.py --help`."""

from jaxconv.check.cli import main

if __name__ == "__main__":
    main()
