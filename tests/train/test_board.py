import pytest
from train.runs import train

from jaxconv.train.board import TAGS

proto = pytest.importorskip("tensorboardX.proto.event_pb2")


def events(folder):
    """The events of the files in a folder: each is its length, a checksum, itself, a checksum."""
    for path in sorted((folder / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            yield proto.Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


@pytest.mark.thorough
def test_tensorboard_shows_what_metrics_say(small, monkeypatch, tmp_path):
    result, _ = train(**small, tensorboard=True, out=tmp_path)
    found = {
        (value.tag, event.step): value
        for event in events(tmp_path)
        for value in event.summary.value
    }
    for epoch in result.epochs:
        for field, tag in TAGS.items():
            shown = found[tag.replace(" ", "_"), epoch.epoch].simple_value
            assert shown == pytest.approx(getattr(epoch, field), rel=1e-6)
    assert found["batch", 0].image.width > 100


def test_without_the_flag_nothing_is_written(small, no_pictures, tmp_path):
    train(**small, out=tmp_path)
    assert not (tmp_path / "tensorboard").exists()
