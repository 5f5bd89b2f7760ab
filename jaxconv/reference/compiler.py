"""Compiler options of the reference implementations, which are those of the ops."""

from jaxconv import compiler


def compiler_options(
    platform: str | None = None, *, largest_array: int | None = None
) -> dict[str, str]:
    """See `jaxconv.compiler_options`."""
    return compiler.compiler_options(platform, largest_array=largest_array)
