"""Name a wrong mask by the positions where it differs from the right one."""

import numpy as np

from jaxconv.check.diagnosis.repair.program import Program, Step, Value


def name_of(program: Program, number: int, wrong: Value, right: Value) -> str:
    """Return the mistake of a mask.

    Args:
        program: the program that has the mask.
        number: the mask's number there. A mask that depends on arguments has a wrong threshold.
        wrong: the mask as it is.
        right: the mask as it should be.
    """
    steps = program.ancestors(number).values()
    if any(i in program.inputs for step in steps for i in step.inputs):
        return "mask_threshold"
    off = wrong != right
    off = off.any(axis=tuple(range(off.ndim - 2))) if off.ndim > 2 else np.atleast_2d(off)
    if not off.any():
        return "mask_threshold"
    differs = np.subtract.outer(np.arange(off.shape[0]), np.arange(off.shape[1]))
    wrong_diagonals = set(differs[off].tolist())
    is_by_diagonal = np.array_equal(off, np.isin(differs, list(wrong_diagonals)))
    if is_by_diagonal and min(off.shape) > 1:
        sides = {np.sign(k) for k in wrong_diagonals} - {0}
        is_half = len(sides) == 1 and len(wrong_diagonals) >= max(off.shape) - 1
        return "triangle_wrong" if is_half else "band_wrong"
    return "rows_wrong"


def selected_by(program: Program, number: int) -> Step | None:
    """Return the selection that a value results from, perhaps spread or reshaped."""
    step = program.makers.get(number)
    while step is not None and step.name in ("broadcast_in_dim", "reshape"):
        step = program.makers.get(step.inputs[0])
    return step if step is not None and step.name == "select_n" else None
