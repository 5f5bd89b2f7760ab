"""Broken forms: one node of a form's source changed, and do the large samples see it?

    python -m jaxconv.check --mutants forms

The modules of a form are run again from their source with one change in it. The form is then run on
the convolutions of `catalogue.large` that take it, with whole numbers, where every right form gives
the same bits. A change that shows there is caught. One that does not is tried on drawn convolutions
as well: if it shows there, the samples have missed it, and it survives. The others make no mistake:
they change how much is computed at a time, and nothing of what is computed.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxconv._core.conv_spec import ConvSpec
from jaxconv.check.catalogue.large import EVERY_FORM, Large, large
from jaxconv.check.mutants.edits import Edit, edits_in, first_line, modules_of, rerun
from jaxconv.check.trial import quickly_compiled
from jaxconv.contraction.form import Contraction, Form
from jaxconv.contraction.planning import Call
from jaxconv.contraction.registry import FORMS
from jaxconv.contraction.roles import simplest

DRAWN = 3
"""For every convolution of `EVERY_FORM`, so many drawn ones like it."""


@dataclass(frozen=True)
class FormTrial:
    """All mutants of one form.

    Attributes:
        form: its contraction and its name.
        caught: how many the samples see.
        survived: what those change that only drawn convolutions see.
        equivalent: how many change no number anywhere.
    """

    form: str
    caught: int
    survived: tuple[str, ...]
    equivalent: int

    @property
    def line(self) -> str:
        """For people."""
        count = self.caught + len(self.survived)
        text = (
            f"{self.form}: {self.caught} of {count} mutants caught, {self.equivalent} no mistakes"
        )
        return "\n".join([text, *(f"  survived: {what}" for what in self.survived)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def fast_forms() -> list[Form]:
    """Those that have a file of their own mathematics, and that this version of JAX can take."""
    return [form for form in FORMS if form.platforms and form.available]


def try_form(number: int) -> FormTrial:
    """Put every mutant of `fast_forms()[number]` on trial."""
    form = fast_forms()[number]
    module = form.run.__module__
    modules = modules_of(module)
    known = _scenes(form, EVERY_FORM.values())
    more = _scenes(form, _drawn())
    caught, equivalent = 0, 0
    survived = []
    with jax.enable_x64(True), quickly_compiled():
        for edit in _edits(module):
            mutant = _mutant(form, modules, edit)
            if any(_shows(mutant, *scene) for scene in known):
                caught += 1
            elif any(_shows(mutant, *scene) for scene in more):
                survived.append(edit.what)
            else:
                equivalent += 1
    return FormTrial(f"{form.contraction}, {form.name}", caught, tuple(survived), equivalent)


def _edits(module: str) -> Iterator[Edit]:
    """Of all functions of the form's file that compute something, those inside of others too."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text())
    for outer in tree.body:
        if isinstance(outer, ast.FunctionDef) and "applies" not in outer.name:
            for node in ast.walk(outer):
                if isinstance(node, ast.FunctionDef):
                    yield from edits_in((module, first_line(node)), node)


def _mutant(form: Form, modules: Sequence[str], edit: Edit) -> Form:
    fresh = rerun(modules, edit)[form.run.__module__]
    return next(f for f in fresh.FORMS if (f.name, f.contraction) == (form.name, form.contraction))


Scene = tuple[ConvSpec, np.ndarray, np.ndarray, np.ndarray]


def _scenes(form: Form, convolutions: Any) -> list[Scene]:
    """The convolutions that take the form, whole numbers for its factors, and its right result."""
    found = []
    asked: tuple[Contraction, ...] = ("correlate", "input_gradient", "kernel_gradient")
    for spec, batch in convolutions:
        for roles in (simplest(contraction, spec) for contraction in asked):
            dilated = max(roles.spec.input_dilation) > 1
            if roles.contraction != form.contraction or (dilated and not form.input_dilation):
                continue
            if form.applies(roles.spec, batch, np.dtype(np.float32)):
                left, right = _factors(form.contraction, roles.spec, batch)
                right_one = Call().plain(form.contraction, roles.spec, left, right)
                found.append((roles.spec, left, right, np.asarray(right_one)))
    return found


def _factors(contraction: Contraction, spec: ConvSpec, batch: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = (batch, *spec.size, spec.channels_in)
    y = (batch, *spec.output, spec.channels_out)
    shapes = {
        "correlate": (x, spec.kernel_shape),
        "input_gradient": (spec.kernel_shape, y),
        "kernel_gradient": (x, y),
    }[contraction]
    left, right = (rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes)
    return left, right


def _drawn() -> list[Large]:
    count = len(EVERY_FORM)
    return [large(number) for number in range(count, (1 + DRAWN) * count)]


def _shows(mutant: Form, spec: ConvSpec, left: Any, right: Any, want: np.ndarray) -> bool:
    """Whether it computes anything else; a crash shows."""
    try:
        got = np.asarray(mutant.run(spec, left, right, Call(mutant.platforms[0])))
    except Exception:
        return True
    return got.shape != want.shape or not np.array_equal(got, want)
