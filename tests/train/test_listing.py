import io

from rich.console import Console

from jaxconv.models.named import USUAL
from jaxconv.train import listing


def printed(table):
    screen = io.StringIO()
    Console(file=screen, width=120).print(table)
    return screen.getvalue()


def test_networks_are_listed(monkeypatch):
    few = {name: USUAL[name] for name in ("lenet", "resnet20", "signal")}
    monkeypatch.setattr(listing, "USUAL", few)
    lines = printed(listing.models()).splitlines()
    assert [line.split()[0] for line in lines] == ["network", *few]
    (line,) = (line for line in lines if line.startswith("resnet20 "))
    assert line.split()[1:6] == ["32×32×3", "10", "272,474", "40.8", "M"]


def test_layers_and_blocks():
    kernel, matrix = Shaped((3, 3, 1, 4)), Shaped((4, 2))
    params = {"conv1": {"w": kernel, "b": Shaped((4,))}, "dense": {"w": matrix}}
    assert [line.split() for line in printed(listing.layers(params)).splitlines()[1:]] == [
        ["conv1", "3×3×1×4,", "4", "40"],
        ["dense", "4×2", "8"],
    ]
    many = {f"block{b}.{i}": {"w": Shaped((2,))} for b in range(3) for i in range(20)}
    lines = printed(listing.layers(many)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        [f"block{b}", "20", "arrays", "40"] for b in range(3)
    ]


class Shaped:
    def __init__(self, shape):
        self.shape = shape
