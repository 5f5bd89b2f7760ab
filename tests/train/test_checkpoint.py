import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import TINY, parameters

from jaxconv.train import checkpoint
from jaxconv.train.checkpoint import Checkpoints


class Tree(NamedTuple):
    params: dict
    state: tuple


@pytest.fixture
def tree():
    params = parameters(TINY, image_shape=(4, 4, 1), classes=3)
    return Tree(params, optax.adam(0.1).init(params))


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, another in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert one.dtype == another.dtype
        assert np.asarray(one).tobytes() == np.asarray(another).tobytes()


def test_the_last_one_comes_back_bit_for_bit(tmp_path, tree):
    first = Checkpoints(tmp_path)
    assert first.step == 0
    assert os.listdir(tmp_path) == []  # nothing is made before there is something to keep
    spoilt = tree._replace(params=jax.tree.map(lambda leaf: leaf.at[0].set(jnp.nan), tree.params))
    first.save(1, tree)
    first.save(4, spoilt)
    assert first.step == 4
    assert os.listdir(tmp_path / "checkpoints") == ["4"]

    again = Checkpoints(tmp_path)
    assert again.step == 4
    assert_same(again.restore(tree), spoilt)
    again.save(4, tree)  # it is there already
    assert_same(Checkpoints(tmp_path).restore(tree), spoilt)


def test_one_is_due_when_the_last_one_is_old(tmp_path, tree, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    checkpoints = Checkpoints(tmp_path)
    due = []
    for step in range(1, 6):
        clock[0] += 0.4 * checkpoint.SECONDS
        due.append(checkpoints.is_due)
        if due[-1]:
            checkpoints.save(step, tree)
    assert due == [False, False, True, False, False]
    assert checkpoints.step == 3


def test_a_folder_that_is_named_like_a_pattern(tmp_path, tree, caplog):
    """Which orbax by default cannot read again; nor does it warn."""
    checkpoints = Checkpoints(tmp_path / "[a]*")
    checkpoints.save(1, tree)
    assert_same(Checkpoints(tmp_path / "[a]*").restore(tree), tree)
    assert caplog.records == []


@pytest.fixture
def saved(tmp_path, tree):
    Checkpoints(tmp_path).save(2, tree)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tree: tree._replace(params=parameters(TINY, image_shape=(8, 8, 1), classes=3)),
            "params.dense1.w should be float32[64, 8], but is float32[16, 8]",
        ),
        (
            lambda tree: tree._replace(params={"conv1": tree.params["conv1"]}),
            "params.dense1.b should be nothing, but is float32[8]",
        ),
        (
            lambda tree: tree._replace(params=tree.params | {"conv2": tree.params["conv1"]}),
            "params.conv2.b should be float32[4], but is nothing",
        ),
        (
            lambda tree: tree._replace(
                params=jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree.params)
            ),
            "params.conv1.b should be bfloat16[4], but is float32[4]",
        ),
    ],
    ids=["shapes", "fewer", "more", "dtypes"],
)
def test_another_tree(saved, tree, change, message):
    message = f"{saved}/checkpoints/2 cannot be read: {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Checkpoints(saved).restore(change(tree))


RESTORE = """
import sys
from pathlib import Path
import optax
from networks import TINY, parameters
from jaxconv.train.checkpoint import Checkpoints
params = parameters(TINY, image_shape=(4, 4, 1), classes=3)
for folder in sys.argv[1:]:
    try:
        Checkpoints(Path(folder)).restore({"params": params, "state": optax.adam(0.1).init(params)})
    except ValueError as error:
        print(error)
"""


def test_a_file_that_is_spoilt(tmp_path, tree):
    """In a process of its own: orbax leaves tasks behind that nobody waits for."""
    folders = []
    for content in (None, b"", b"x"):
        folders.append(tmp_path / str(content))
        Checkpoints(folders[-1]).save(2, tree)
        (path,) = folders[-1].rglob("params.conv1.w/0.0.0.0")
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    answer = subprocess.run(
        [sys.executable, "-c", RESTORE, *map(str, folders)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = answer.stdout.splitlines()
    for folder, line in zip(folders, lines, strict=True):
        assert line.startswith(f"{folder}/checkpoints/2 cannot be read: Encountered error while")
        assert len(line) < 400
