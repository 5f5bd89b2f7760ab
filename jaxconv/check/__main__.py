"""Run the gradient checker: `python -m jaxconv.check`."""

from jaxconv.check.cli import main

if __name__ == "__main__":
    main()
