import functools
import gzip
import hashlib
import http.server
import re
import struct
import threading

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import cifar10, idx, load
from jaxconv.train.data.download import PUBLISHED, Published, fetched


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that this machine serves: where the files are published; the cache is another."""
    folder = tmp_path / "published"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{http_server.server_port}/"
        http_server.shutdown()
        thread.join()


def publish(monkeypatch, server, contents, name="mnist"):
    folder, url = server
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    monkeypatch.setitem(PUBLISHED, name, Published(url, sums))


def small_mnist():
    contents = {}
    for part in idx.PARTS:
        for file, shape in zip(idx.names(part), [(3, 4, 5), (3,)], strict=True):
            header = b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape)
            contents[file] = gzip.compress(header + bytes(np.prod(shape)), mtime=0)
    return contents


def test_fetched_once_and_kept(monkeypatch, server, tmp_path):
    contents = small_mnist()
    publish(monkeypatch, server, contents)
    assert load(Config(dataset="mnist")).train_images.shape == (3, 4, 5, 1)
    folder = fetched("mnist")
    assert folder == tmp_path / "cache" / "jaxconv" / "mnist"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    for path in server[0].iterdir():
        path.unlink()
    assert load(Config(dataset="mnist")).test_images.shape == (3, 4, 5, 1)


def test_another_file_than_the_published_one_is_refused_and_not_kept(monkeypatch, server, tmp_path):
    contents = small_mnist()
    publish(monkeypatch, server, contents)
    name = idx.names("train")[1]
    (server[0] / name).write_bytes(b"another")
    message = f"{server[1]}{name} could not be fetched (ValueError: SHA256 hash of downloaded file"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load(Config(dataset="mnist"))
    assert name not in [path.name for path in tmp_path.rglob("cache/**/*")]


def test_nobody_there(monkeypatch, server, tmp_path):
    publish(monkeypatch, server, {cifar10.ARCHIVE: b"some"}, name="cifar10")
    (server[0] / cifar10.ARCHIVE).unlink()
    message = f"{server[1]}{cifar10.ARCHIVE} could not be fetched (HTTPError: 404"
    hint = "--data-dir takes a folder that has the files of cifar10"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}.*{re.escape(hint)}$"):
        load(Config(dataset="cifar10"))


def test_no_connection(monkeypatch, server):
    publish(monkeypatch, server, small_mnist())
    nobody = "http://127.0.0.1:1/"
    monkeypatch.setitem(PUBLISHED, "mnist", Published(nobody, PUBLISHED["mnist"].files))
    message = f"{nobody}train-images-idx3-ubyte.gz could not be fetched (no connection); --data-dir"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load(Config(dataset="mnist"))


def test_checksums_are_those_of_the_files_that_are_read():
    for name, published in PUBLISHED.items():
        assert published.url.startswith("https://")
        assert published.url.endswith("/")
        wanted = (
            {cifar10.ARCHIVE}
            if name == "cifar10"
            else {file for part in idx.PARTS for file in idx.names(part)}
        )
        assert set(published.files) == wanted
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in published.files.values())
