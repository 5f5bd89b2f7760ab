"""The package as a whole: one face and its reference, typed, documented, of one version."""

import ast
import importlib.metadata
import importlib.resources
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxconv
import jaxconv.reference
from jaxconv.check import check_rule
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.missing import signature

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxconv"

FOR_ANY_FUNCTION = {"by_hand", "survey"}  # no ops: jaxconv.reference has none of them

each_op = pytest.mark.parametrize("name", sorted(CATALOGUE))


def listed():
    """docs/api.md: the signature of every name, without types."""
    text, _, checking = (ROOT / "docs" / "api.md").read_text().partition("## Checking")
    lines = re.findall(r"^((\w+)\(.*\))$", text, re.M)
    found = {name: line for line, name in lines}
    assert len(found) == len(lines)
    assert signature(check_rule) in checking
    return found


@pytest.mark.parametrize("module", [jaxconv, jaxconv.reference], ids=lambda m: m.__name__)
def test_names_and_signatures_are_those_of_the_list(module):
    names = set(listed()) - (FOR_ANY_FUNCTION if module is jaxconv.reference else set())
    assert set(module.__all__) == names
    for name in names:
        assert signature(getattr(module, name)) == listed()[name], name


def test_ops_and_references_have_the_same_names():
    for module in (jaxconv, jaxconv.reference):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert callable(getattr(module, name))
    assert set(jaxconv.__all__) == set(jaxconv.reference.__all__) | FOR_ANY_FUNCTION


@each_op
def test_ops_and_references_have_the_same_signature(name):
    op, reference = getattr(jaxconv, name), getattr(jaxconv.reference, name)
    assert inspect.signature(op) == inspect.signature(reference)  # names, kinds, defaults, types
    assert op is not reference
    assert op.__name__ == reference.__name__ == name


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "reference").rglob("*.py")), ids=lambda p: p.stem
)
def test_references_have_no_rules_and_call_no_ops(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            assert name not in ("custom_vjp", "custom_jvp", "defvjp", "defjvp")
        if isinstance(node, ast.ImportFrom) and node.module.startswith("jaxconv"):
            if node.module == "jaxconv" and [a.name for a in node.names] == ["compiler"]:
                continue  # no op: what the compiler is told
            assert node.module.startswith(("jaxconv.reference", "jaxconv._core")), node.module


@pytest.mark.parametrize("module", [jaxconv, jaxconv.reference], ids=lambda m: m.__name__)
def test_the_public_face_only_imports(module):
    docstring, *rest = ast.parse(Path(module.__file__).read_text()).body
    assert isinstance(docstring, ast.Expr)
    for node in rest:
        if isinstance(node, ast.Assign):
            assert [target.id for target in node.targets] in (["__version__"], ["__all__"])
        elif isinstance(node, ast.AugAssign):
            assert node.target.id == "__all__"
        else:
            assert isinstance(node, ast.ImportFrom)
            assert node.module.startswith(module.__name__)


def defaults(name):
    return [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(getattr(jaxconv, name)).parameters.values()
    ]


@each_op
def test_every_op_says_what_it_computes(name):
    doc = inspect.getdoc(getattr(jaxconv, name))
    summary, body = doc.split("\n", 1)
    assert summary.endswith(".")
    sections = re.split(r"^(Example|Args|Returns|Raises|Yields):\n", body, flags=re.M)
    equations, titles = sections[0], sections[1::2]
    assert titles == ["Example", "Args", "Returns", "Raises"]
    example, args, _, raises = sections[2::2]
    assert re.search(r"^ {4}>>> .*\n {4}[^>\s]", example, re.M), "no example with its output"

    # The forward equation, and that of every array's gradient, set off from the text.
    formulas = re.findall(r"^ {4}.*$", equations, re.M)
    assert any("=" in formula for formula in formulas)
    assert re.search(r"\bd\w", " ".join(formulas))

    described = re.findall(r"^ {4}(\w+(?:, \w+)*): ", args, re.M)
    assert ", ".join(described).split(", ") == [parameter for parameter, _ in defaults(name)]
    assert re.findall(r"^ {4}(\w+): ", raises, re.M)
    assert set(re.findall(r"^ {4}(\w+): ", raises, re.M)) <= {"TypeError", "ValueError"}

    page = re.search(r"docs/derivations/\w+\.md", doc)
    assert page, "no derivation is named"
    assert name in (ROOT / page[0]).read_text()


@each_op
def test_every_reference_points_to_its_op(name):
    assert f"jaxconv.{name}" in inspect.getdoc(getattr(jaxconv.reference, name))


def test_the_version_is_that_of_the_installed_package():
    assert importlib.metadata.version("jaxconv") == jaxconv.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", jaxconv.__version__)


def test_type_checkers_are_told_that_there_are_types():
    assert importlib.resources.files("jaxconv").joinpath("py.typed").is_file()


def test_ops_import_nothing_but_jax_numpy_and_the_standard_library():
    """Nowhere in a function either, where test_extras.py would not see it."""
    allowed = {"jax", "numpy", "jaxconv"} | sys.stdlib_module_names
    rich = "check/console.py", "check/strangers.py", "evaluate.py", "transform/survey.py"
    guarded = [PACKAGE / name for name in (*rich, "_core/tensors.py", "equinox.py")]
    for file in PACKAGE.rglob("*.py"):
        users = (PACKAGE / "train", PACKAGE / "bench", PACKAGE / "flax")
        if set(users) & set(file.parents) or file in guarded:
            continue  # what they need is an extra, or used only if it is there
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported = {node.module.partition(".")[0]}
            else:
                continue
            assert imported <= allowed, file


def test_citation_and_changelog_have_the_version():
    assert f"\nversion: {jaxconv.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {jaxconv.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.thorough
def test_a_users_type_checker_sees_every_name(tmp_path):
    """Strict mypy knows no name that reaches a module through two star imports."""
    pytest.importorskip("mypy")
    lines = ["import jaxconv", *(f"jaxconv.{name}" for name in jaxconv.__all__)]
    (tmp_path / "program.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "mypy", "--strict", "program.py"]
    seen = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert seen.returncode == 0, seen.stdout + seen.stderr
