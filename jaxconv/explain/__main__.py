"""Write out a gradient: `python -m jaxconv.explain`."""

from jaxconv.explain.cli import main

if __name__ == "__main__":
    main()
