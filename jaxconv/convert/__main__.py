"""`python -m jaxconv.convert`."""

from jaxconv.convert.cli import main

main()
