"""`python -m jaxconv.train`."""

from jaxconv.train.cli import main

main()
