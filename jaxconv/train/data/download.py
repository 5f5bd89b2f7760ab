"""The published files of data sets: downloaded once, and verified by their checksums."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxconv._core.extras import needs
from jaxconv.train.data.cifar10 import ARCHIVE


@dataclass(frozen=True)
class Published:
    """Where the files of a data set are, and the SHA-256 of each."""

    url: str
    files: dict[str, str]


PUBLISHED = {
    "mnist": Published(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte.gz": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    "fashion-mnist": Published(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "train-images-idx3-ubyte.gz": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
    "cifar10": Published(
        "https://www.cs.toronto.edu/~kriz/",
        {ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    ),
}


def fetched(name: str) -> Path:
    """Return the folder in the user's cache with the files of this data set, downloaded if needed.

    Raises:
        ValueError: a file cannot be downloaded, or its checksum is wrong.
    """
    with needs("train"):
        import pooch
        import requests

    published = PUBLISHED[name]
    folder = Path(pooch.os_cache("jaxconv")) / name
    store = pooch.create(folder, published.url, registry=published.files)
    for file in published.files:
        bar = _Bar(file)
        try:
            store.fetch(file, downloader=pooch.HTTPDownloader(progressbar=bar))
        except (ValueError, OSError) as error:  # those of requests are OSErrors
            away = isinstance(error, requests.ConnectionError)
            reason = "no connection" if away else f"{type(error).__name__}: {error}"
            raise ValueError(
                f"{published.url}{file} could not be fetched ({reason});"
                f" --data-dir takes a folder that has the files of {name}"
            ) from None
        finally:
            bar.close()
    return folder


class _Bar:
    """The progress bar of a download, with the interface that pooch expects."""

    def __init__(self, file: str) -> None:
        with needs("train"):
            from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        self._progress: Any = Progress(*columns, transient=True)
        self._task = self._progress.add_task(file, total=None)

    @property
    def total(self) -> int:
        """The number of bytes of the whole download."""
        return int(self._progress.tasks[0].total or 0)

    @total.setter
    def total(self, count: int) -> None:
        self._progress.update(self._task, total=count)
        self._progress.start()

    def update(self, count: int) -> None:
        """Report this many more bytes."""
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Start from 0: pooch does so at the end, before it reports the whole download."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Stop the bar."""
        self._progress.stop()
