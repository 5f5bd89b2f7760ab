"""The names of settings on the command line."""


def flag(name: str) -> str:
    """Return the name of a field on the command line."""
    return "--" + name.replace("_", "-")
