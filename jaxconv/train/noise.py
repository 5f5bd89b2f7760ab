"""What C++ libraries print of themselves, kept from the screen while several processes train.

If one process is lost, JAX's runtime prints a page in each of the others, and aborts them.
"""

import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import IO

_kept: list[object] = []  # what must live as long as the process


def hold_back(on_loss: Callable[[], None]) -> None:
    """From now on, let only Python write to the screen.

    If the process is aborted because another one is lost, it calls `on_loss` instead of dying from
    the signal. If it is aborted for another reason, it prints what the libraries have said.
    """
    if os.name != "posix":
        return
    said = tempfile.TemporaryFile()  # noqa: SIM115
    screen = os.dup(2)
    for number, name in ((1, "stdout"), (2, "stderr")):
        getattr(sys, name).flush()
        own: IO[str] = os.fdopen(os.dup(number), "w", buffering=1)
        os.dup2(said.fileno(), number)
        setattr(sys, name, own)

    def aborted(number: int) -> None:
        said.seek(0)
        text = said.read()
        if b"distributed service" in text:
            on_loss()
        os.write(screen, text)
        os._exit(128 + number)

    # abort() ends the process when a handler of Python returns, and it returns at once, because the
    # interpreter runs the handler later. A C function is run in time.
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), handler)
    _kept.extend((handler, said))
