"""Mutation tests of the large samples: they must notice every mistake in a convolution's fast form.

    python -m jaxconv.check --mutants forms

The modules of a form are executed again from their source with one node changed. The form then
runs on the convolutions of `catalogue.large` that use it, with whole numbers, for which every
correct form gives the same bits. A change that alters the result there is caught. Any other is also
run on randomly drawn convolutions: if it alters a result there, the samples have missed it, and it
survives. The remaining changes are no mistakes: they alter how much is computed at a time, but not
what is computed.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.types import Json
from jaxconv.check.catalogue.large import EVERY_FORM, Large, large
from jaxconv.check.compiling import quickly_compiled
from jaxconv.check.mutants.edits import Edit, edits_in, first_line, modules_of, rerun
from jaxconv.contraction.form import Contraction, Form
from jaxconv.contraction.planning import Call
from jaxconv.contraction.registry import FORMS
from jaxconv.contraction.roles import simplest

DRAWN = 3
"""How many convolutions are drawn for each one in `EVERY_FORM`, similar to it."""


@dataclass(frozen=True)
class FormTrial:
    """All mutants of one form.

    Attributes:
        form: the contraction and the name of the form.
        caught: how many mutants the samples notice.
        survived: the changes that only the drawn convolutions notice.
        equivalent: how many mutants change no result.
    """

    form: str
    caught: int
    survived: tuple[str, ...]
    equivalent: int

    @property
    def line(self) -> str:
        """The result in one line, followed by one line for each survivor."""
        count = self.caught + len(self.survived)
        text = (
            f"{self.form}: {self.caught} of {count} mutants caught, {self.equivalent} no mistakes"
        )
        return "\n".join([text, *(f"  survived: {what}" for what in self.survived)])

    def to_dict(self) -> Json:
        """Return the result as plain data."""
        return asdict(self)


def fast_forms() -> list[Form]:
    """Return the platform-specific forms that this version of JAX supports."""
    return [form for form in FORMS if form.platforms and form.available]


def try_form(number: int) -> FormTrial:
    """Run every mutant of `fast_forms()[number]`."""
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
    """Yield the edits of all functions in the form's file, nested ones too, except `applies`."""
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


def _scenes(form: Form, convolutions: Iterable[tuple[ConvSpec, int]]) -> list[Scene]:
    """Return each convolution that uses the form, with whole-number operands and right result."""
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
    """Whether the mutant gives another result or crashes."""
    try:
        got = np.asarray(mutant.run(spec, left, right, Call(mutant.platforms[0])))
    except Exception:
        return True
    return got.shape != want.shape or not np.array_equal(got, want)
