"""What to tell the compiler about the twins: the same, so that one seam switches all."""

from jaxconv import compiler


def compiler_options(
    platform: str | None = None, *, largest_array: int | None = None
) -> dict[str, str]:
    """See `jaxconv.compiler_options`."""
    return compiler.compiler_options(platform, largest_array=largest_array)
