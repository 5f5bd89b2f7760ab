"""Run the benchmark: `python -m jaxconv.bench`."""

from jaxconv.bench.cli import main

if __name__ == "__main__":
    main()
