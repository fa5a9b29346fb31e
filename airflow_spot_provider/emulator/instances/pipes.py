"""Pipe mode: a channel as named pipes, one for each epoch."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.02
"""Real seconds between two looks whether somebody has opened a pipe."""


class ChannelPipe:
    """Feeds ``<channel>_<epoch>`` to whoever opens it; the pipe of the next epoch is there before that of one ends.

    :param folder: /opt/ml/input/data.
    :param name: of the channel.
    :param stream: what an epoch gives.
    :param failed: is told why an epoch could not be given.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        stream: Callable[[int], Iterator[bytes]],
        failed: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._name = name
        self._stream = stream
        self._failed = failed
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pipe-{name}", daemon=True)

    def start(self) -> None:
        """Make the first pipe, and begin to feed."""
        self._make(0)
        self._thread.start()

    def stop(self) -> None:
        """Feed no more."""
        self._done.set()

    def _make(self, epoch: int) -> Path:
        path = self._folder / f"{self._name}_{epoch}"
        os.mkfifo(path)
        return path

    def _run(self) -> None:
        epoch, path = 0, self._folder / f"{self._name}_0"
        while (pipe := self._opened(path)) is not None:
            following = self._make(epoch + 1)
            try:
                with os.fdopen(pipe, "wb") as file:
                    for content in self._stream(epoch):
                        file.write(content)
            except BrokenPipeError:
                pass  # the script had enough of this epoch
            except TrainingProblem as problem:
                self._failed(str(problem))
                return
            path.unlink(missing_ok=True)
            epoch, path = epoch + 1, following

    def _opened(self, path: Path) -> int | None:
        """The pipe, once somebody reads from it; None when nobody will any more."""
        while not self._done.is_set():
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return None  # the folder is gone, and the job with it
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                self._done.wait(LOOK_SECONDS)
                continue
            os.set_blocking(pipe, True)
            return pipe
        return None
