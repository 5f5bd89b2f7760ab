import re

import pytest

from jaxconv.models import MODELS, Model, find, lenet, observes


def test_networks_by_name():
    for name, model in MODELS.items():
        assert find(name) is model
        assert observes(model)


def test_a_network_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "jaxconv_mine.py").write_text(
        "class network:\n"
        "    @staticmethod\n"
        "    def init(key, image_shape, classes): return {}, {}\n"
        "    @staticmethod\n"
        "    def apply(params, state, x, *, train, key=None, ops=None): return x, state\n"
        "only_init = type('Half', (), {'init': network.init})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = find("jaxconv_mine:network")
    assert isinstance(model, Model)
    assert model.init(None, (1,), 2) == ({}, {})
    assert not observes(model)
    for name, message in (
        ("jaxconv_mine:nothing", "the network jaxconv_mine:nothing: the module has nothing of"),
        ("jaxconv_mine:only_init", "the network jaxconv_mine:only_init has no function apply"),
        ("jaxconv_nowhere:network", "there is no module jaxconv_nowhere, neither in the working"),
        ("resnet", "there is no network 'resnet': it must be one of convnet, lenet, "),
        ("mine:", "or module:name"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            find(name)


@pytest.mark.parametrize(
    ("code", "error"),
    [("import jaxconv_nee", ModuleNotFoundError), ("import jax; jax.nothing", AttributeError)],
)
def test_an_error_inside_the_module_is_the_users_own(code, error, tmp_path, monkeypatch):
    """Also if the name of the module that it needs is the beginning of its own."""
    name = f"jaxconv_needing_{error.__name__.lower()}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error):
        find(f"{name}:network")


def test_a_package_is_a_module():
    assert find("jaxconv.models.plain:lenet").init is lenet.init
