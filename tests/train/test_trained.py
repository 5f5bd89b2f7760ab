"""A trained network: what it says of pictures, from Python and from the command line."""

import csv
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxconv.evaluate
import jaxconv.predict
from jaxconv.models import MODELS, Variables
from jaxconv.train import Config, load_run, record
from jaxconv.train.data import load
from jaxconv.train.trained import TrainedNetwork, confusion

SIZE = (12, 12)
CLASSES = ("blue", "green", "red")


def picture(name, seed, size=SIZE):
    """A noisy picture of one colour."""
    random = np.random.default_rng((seed, CLASSES.index(name)))
    array = random.integers(0, 90, (*size, 3), np.uint8)
    array[..., 2 - CLASSES.index(name)] += 150
    return Image.fromarray(array)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A folder of pictures of three colours."""
    folder = tmp_path_factory.mktemp("colours")
    for name in CLASSES:
        (folder / name).mkdir()
        for seed in range(12):
            picture(name, seed).save(folder / name / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def run(colours, tmp_path_factory):
    """The folder of a run as training leaves it, with parameters that tell the colours apart."""
    folder = tmp_path_factory.mktemp("run")
    config = Config(dataset=str(colours), image_size=12, model="lenet")
    dataset = load(config)
    model = MODELS[config.model]
    shape = dataset.train_images.shape[1:]
    params, _ = model.init(jax.random.key(0), image_shape=shape, classes=3)

    @jax.jit
    def step(params, images, labels):
        def loss(params):
            return jaxconv.softmax_cross_entropy(
                model.apply(params, {}, images / 255, train=True)[0], labels
            )

        return jax.tree.map(lambda w, d: w - 0.1 * d, params, jax.grad(loss)(params))

    images = jnp.asarray(dataset.train_images, jnp.float32)
    for _ in range(60):
        params = step(params, images, dataset.train_labels)
    record.save_config(folder / "config.json", config)
    record.save_data(folder / record.DATA, config, dataset, dataset.fingerprint)
    record.save_variables(folder / "params.safetensors", Variables(params, {}))
    return folder


def test_what_is_kept_of_the_data(run, colours):
    known = json.loads((run / "data.json").read_text())
    assert known["dataset"] == str(colours)
    assert known["classes"] == list(CLASSES)
    assert known["image_shape"] == [12, 12, 3]
    assert (known["train_images"], known["test_images"]) == (30, 6)
    assert re.fullmatch("[0-9a-f]{64}", known["fingerprint"])


def test_pictures_are_told_apart(run, tmp_path):
    network = load_run(run)
    for name in CLASSES:
        picture(name, 99, (50, 31)).save(tmp_path / f"{name}.png")
    found = network.predict([tmp_path / f"{name}.png" for name in CLASSES])
    assert [each.classes[0] for each in found] == list(CLASSES)
    for each in found:
        assert sorted(each.classes) == list(CLASSES)
        assert list(each.probabilities) == sorted(each.probabilities, reverse=True)
        assert sum(each.probabilities) == pytest.approx(1)
    assert network.predict([]) == []
    (best,) = network.predict([str(tmp_path / "red.png")], top=1)
    assert best.classes == ("red",)
    assert str(best) == f"red {best.probabilities[0]:.1%}"


def test_arrays_of_bytes_and_floats(run):
    network = load_run(run)
    array = np.asarray(picture("red", 5))
    of_bytes, of_floats = network.predict([array, array / np.float32(255)])
    assert of_bytes.classes[0] == "red"
    np.testing.assert_allclose(of_bytes.probabilities, of_floats.probabilities, rtol=1e-6)
    message = r"^predict: pictures must have the shape \(12, 12, 3\), but got \(12, 12\)$"
    with pytest.raises(ValueError, match=message):
        network.predict([array[..., 0]])


def test_many_images_are_as_one(run):
    network = load_run(run)
    images = np.stack([np.asarray(picture("red", seed)) for seed in range(300)])
    all_of_them = network.probabilities(images)
    assert all_of_them.shape == (300, 3)
    np.testing.assert_allclose(network.probabilities(images[299:]), all_of_them[299:], rtol=1e-5)


def test_a_network_of_grey_images_sees_colours_as_grey(run, tmp_path):
    known = load_run(run)
    network = TrainedNetwork(known.config, known.variables, CLASSES, (*SIZE, 1))
    image = picture("red", 1)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(network.image(tmp_path / "a.png")[..., 0], image.convert("L"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", " is not an output folder of a run: config.json: No such file"),
        ("data.json", " is not an output folder of a run: data.json: No such file"),
        ("params.safetensors", " has no params.safetensors: the run has not ended; --resume "),
    ],
)
def test_a_run_that_is_not_whole(run, tmp_path, name, message):
    for path in run.iterdir():
        if path.name != name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=f"^{re.escape(f'{tmp_path}{message}')}"):
        load_run(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"classes": 3}'])
def test_a_broken_description(run, tmp_path, content):
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path))}/data.json cannot be read: "):
        load_run(tmp_path)


# The commands


@pytest.fixture
def command(capsys):
    """The exit status of a command, and what it printed."""

    def call(main, *arguments):
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return call


def test_predict_pictures_and_folders(run, colours, tmp_path, command):
    table = tmp_path / "table.csv"
    picture("green", 50).save(tmp_path / "leaf.jpg")
    pictures = tmp_path / "leaf.jpg", colours / "blue"
    status, out, err = command(jaxconv.predict.main, run, *pictures, "--top", 2, "--csv", table)
    lines = out.splitlines()
    assert (status, err, len(lines)) == (0, "", 13)
    assert re.fullmatch(rf"{tmp_path}/leaf.jpg: green [\d.]+%, \w+ [\d.]+%", lines[0])
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["picture", "class", *CLASSES]
    assert rows[0][:2] == [f"{tmp_path}/leaf.jpg", "green"]
    for row in rows:
        shares = dict(zip(CLASSES, map(float, row[2:]), strict=True))
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert max(shares, key=shares.get) == row[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN"], "the following arguments are required: PICTURE"),
        (["RUN", "nowhere.png"], "nowhere.png does not exist"),
        (["RUN", "EMPTY"], "EMPTY holds no pictures"),
        (["RUN", "EMPTY", "--top", "0"], "argument --top: must be 1 or more, but got '0'"),
        (["RUN", "EMPTY", "--csv", "EMPTY"], "argument --csv: EMPTY is a folder"),
        (["EMPTY", "x.png"], "EMPTY is not an output folder of a run: config.json: No such file"),
    ],
)
def test_predict_of_something_else(run, tmp_path, command, arguments, message):
    places = {"RUN": str(run), "EMPTY": str(tmp_path)}
    given = [places.get(each, each) for each in arguments]
    status, out, err = command(jaxconv.predict.main, *given)
    assert (status, out) == (2, "")
    assert err.startswith(f"predict: {message.replace('EMPTY', str(tmp_path))}")
    assert err.count("\n") == 1


def test_predict_goes_on_without_what_it_cannot_read(run, tmp_path, command):
    for name in ("a", "c"):
        picture("blue", 3).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    table = tmp_path / "table.csv"
    status, out, err = command(jaxconv.predict.main, run, tmp_path, "--csv", table)
    assert status == 2
    assert [line.split(": ")[0] for line in out.splitlines()] == [
        str(tmp_path / "a.png"), str(tmp_path / "c.png"),
    ]  # fmt: skip
    assert len(table.read_text().splitlines()) == 3
    assert err.startswith(f"predict: {tmp_path}/b.png is not a picture that can be read: ")
    assert err.count("\n") == 1


def test_no_file_of_a_picture_has_two_channels(tmp_path):
    variables = Variables(
        *MODELS["lenet"].init(jax.random.key(0), image_shape=(12, 12, 2), classes=3)
    )
    network = TrainedNetwork(Config(model="lenet"), variables, CLASSES, (12, 12, 2))
    picture("red", 1).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"^predict: a picture has 1 or 3 channels, but .* of 2:"):
        network.predict([tmp_path / "a.png"])
    assert len(network.predict([np.zeros((12, 12, 2), np.float32)])) == 1


def test_evaluate(run, command):
    status, out, err = command(jaxconv.evaluate.main, run)
    assert (status, err) == (0, "")
    assert out.startswith("accuracy 100.00% (6 of 6 images)\n")
    assert "confusion matrix" in out
    for name in CLASSES:
        assert name in out


def test_evaluate_takes_the_part_for_the_end_and_other_data(run, colours, tmp_path, command):
    for name in CLASSES:
        for part, count in (("train", 2), ("val", 1), ("test", 3)):
            (tmp_path / part / name).mkdir(parents=True)
            for seed in range(count):
                wrong = "red" if (part, name) == ("test", "blue") else name
                picture(wrong, 70 + seed).save(tmp_path / part / name / f"{seed}.png")
    status, out, err = command(jaxconv.evaluate.main, run, "--dataset", tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("accuracy 66.67% (6 of 9 images)\n")
    assert re.search(r"blue .* 3 .* 0 .* 0.00% .* red \(3\)", out)


def test_evaluate_other_classes(run, tmp_path, command):
    for name, colour in (("red", "red"), ("pink", "red"), ("blue", "blue")):
        (tmp_path / name).mkdir()
        for seed in range(2):
            picture(colour, seed).save(tmp_path / name / f"{seed}.png")
    status, _, err = command(jaxconv.evaluate.main, run, "--dataset", tmp_path)
    assert status == 2
    assert err == f"evaluate: {tmp_path}: the network was not trained on the class pink\n"


def test_evaluate_leaves_out_what_cannot_be_read(run, colours, tmp_path, command):
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for seed in range(2):
            picture(name, seed).save(tmp_path / name / f"{seed}.png")
    (tmp_path / "red" / "2.png").write_bytes(b"no picture")
    status, _, err = command(jaxconv.evaluate.main, run, "--dataset", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert err.endswith("--skip-bad goes on without it\n")
    status, out, _ = command(jaxconv.evaluate.main, run, "--dataset", tmp_path, "--skip-bad")
    assert status == 0
    assert out.startswith("accuracy 100.00% (3 of 3 images)\n")


def test_evaluate_some_of_the_classes(run, tmp_path, command):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
        for seed in range(2):
            picture(name, seed).save(tmp_path / name / f"{seed}.png")
    status, out, err = command(jaxconv.evaluate.main, run, "--dataset", tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("accuracy 100.00% (2 of 2 images)\n")


@pytest.mark.parametrize("where", ["digits", "a.npz"])
def test_evaluate_data_that_are_no_folder(where, tmp_path, command, monkeypatch):
    """Also where a folder has the name of a data set that comes with the package."""
    random = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=random.integers(0, 256, (20, 8, 8), np.uint8), y=[0, 1] * 10)
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    config = Config(dataset=where, model="lenet")
    dataset = load(config)
    shape = dataset.train_images.shape[1:]
    init = MODELS["lenet"].init
    variables = Variables(*init(jax.random.key(0), image_shape=shape, classes=dataset.classes))
    folder = tmp_path / "run"
    folder.mkdir()
    record.save_config(folder / "config.json", config)
    record.save_data(folder / record.DATA, config, dataset, dataset.fingerprint)
    record.save_variables(folder / "params.safetensors", variables)
    monkeypatch.chdir("/")
    status, out, err = command(jaxconv.evaluate.main, folder)
    assert (status, err) == (0, "")
    assert f"of {len(dataset.test_labels)} images)" in out


def test_confusion():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    matrix = confusion(probabilities, np.array([0, 1, 1]), 2)
    assert matrix.tolist() == [[1, 0], [1, 1]]
