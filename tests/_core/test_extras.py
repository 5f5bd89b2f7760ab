"""What runs without the extras, and what is said where one is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxconv._core.extras import MissingExtraError, needs

ROOT = Path(__file__).parents[2]


def test_a_missing_module_is_named_with_the_command_that_installs_it():
    def use():
        with needs("train"):
            import no_such_module.part  # noqa: F401

    message = r"^no_such_module is not installed; it comes with: pip install 'jaxconv\[train\]'$"
    with pytest.raises(MissingExtraError, match=message) as raised:
        use()
    assert raised.value.name == "no_such_module"
    assert isinstance(raised.value, ImportError)  # for whoever catches that


def test_the_innermost_extra_is_the_one_that_is_missing():
    def use():
        with needs("train"), needs("other"):
            import no_such_module  # noqa: F401

    with pytest.raises(MissingExtraError, match=r"jaxconv\[other\]"):
        use()


def test_other_errors_pass():
    def use(error):
        with needs("train"):
            raise error

    for error in (ImportError("half installed"), ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised:
            use(error)
        assert raised.value is error


def run(code):
    """The last line that this program prints, as JSON."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


HIDE = """
import sys

class Hiding:
    \"\"\"A finder of modules that does not find those that are hidden.\"\"\"

    hidden = staticmethod(lambda top: False)

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if not Hiding.hidden(name.partition(".")[0]):
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""


def test_the_ops_and_the_models_need_jax_and_numpy_alone():
    assert run(
        HIDE
        + """
needed = {"jax", "jaxlib", "numpy", "scipy", "ml_dtypes", "opt_einsum", "jaxconv"}
standard = lambda top: top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
Hiding.hidden = lambda top: not standard(top) and top not in needed

import functools
import json
import jax, jax.numpy as jnp
import jaxconv, jaxconv.reference, jaxconv.models

x = jnp.arange(32.0).reshape(2, 4, 4, 1)
w = jnp.full((3, 3, 1, 2), 0.5)
dx = jax.grad(lambda x: jnp.sum(jaxconv.conv(x, w, padding="VALID")[..., 0]))(x)
model = jaxconv.models.MODELS["lenet"]
both = jax.eval_shape(lambda: model.init(jax.random.key(0), image_shape=(8, 8, 1), classes=10))
apply = functools.partial(model.apply, train=False)
logits, _ = jax.eval_shape(apply, *both, x.repeat(2, 1).repeat(2, 2))

from jaxconv.train import Config, load_params  # nothing is needed before it is used
try:
    load_params("nowhere")
except ImportError as error:
    said = str(error)
print(json.dumps([float(dx.sum()), logits.shape, Config().model, said]))
"""
    ) == [
        2 * 4 * 9 * 0.5,
        [2, 10],
        "convnet",
        "safetensors is not installed; it comes with: pip install 'jaxconv[train]'",
    ]


MODULES = ["tyro", "rich", "optax", "matplotlib", "safetensors", "sklearn"]


def test_every_missing_extra_ends_the_script_with_one_line(tmp_path):
    """In one process, for it takes a second to import jax: each module is made missing in turn."""
    said = run(
        HIDE
        + f"""
import contextlib, io, json, runpy

def outcome(missing):
    for name in list(sys.modules):
        if name.startswith("jaxconv.train") or name.partition(".")[0] in {MODULES}:
            del sys.modules[name]
    Hiding.hidden = lambda top: top == missing
    sys.argv = ["train.py", "--out", {str(tmp_path / "out")!r}]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path("scripts/train.py", run_name="__main__")
    except SystemExit as stop:
        status = stop.code
    return status, out.getvalue(), err.getvalue()

print(json.dumps({{name: outcome(name) for name in {MODULES}}}))
"""
    )
    for module in MODULES:
        message = f"{module} is not installed; it comes with: pip install 'jaxconv[train]'"
        assert said[module] == [2, "", f"train: {message}\n"]
    assert not (tmp_path / "out").exists()
