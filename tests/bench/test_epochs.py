import numpy as np
import pytest

from jaxconv.bench import epochs


@pytest.fixture
def few(monkeypatch):
    """Images so few and small that an epoch takes no time."""
    for name, value in (("IMAGES", 20), ("BATCH", 8), ("SHAPE", (8, 8, 2)), ("CLASSES", 3)):
        monkeypatch.setattr(epochs, name, value)
    monkeypatch.setattr(epochs, "_compiled", lambda model, dataset: {})


@pytest.mark.thorough
def test_contestants_take_turns(few, capsys):
    epochs.main(["--models", "lenet", "--rounds", "1"])
    _, *lines = capsys.readouterr().out.splitlines()
    names = [line.split(" | ")[1] for line in lines]
    assert names[:2] == ["jaxconv", "autodiff"]
    assert lines[0].split(" | ")[5].endswith("%")


def test_pytorch_trains_the_same_network(few):
    """It learns to know twenty images."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    epoch = epochs._theirs("lenet", epochs._dataset(), fused=False)
    losses = [np.mean([loss for loss, _ in epoch()]) for _ in range(8)]
    assert losses[-1] < losses[0]
