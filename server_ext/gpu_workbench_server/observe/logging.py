"""The log, in one place: where our messages go, and what may not stand in them.

Modules say `logging.getLogger(__name__)` and nothing else; `attach` sends all that to the Jupyter
server's log. Secrets become stars, and a message that comes back every second is written once a
minute, with how often it came.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

LOGGER = "gpu_workbench_server"
QUIET_SECONDS = 60.0

_STARS = "***"
_SECRET = re.compile(
    r"""(?ix)
    ( (?: [\w-]* (?: token | password | passwd | secret | api_?key ) ["']? \s* [=:] \s* ["']? )
    | authorization ["']? \s* [=:] \s* ["']? (?: (?: token | bearer | basic ) \s+ )?
    | (?<=://) [^/\s:@]* : (?= [^/\s@]+ @ )
    )
    ( [^\s"'&,;)}@]+ )
    """
)


def masked(text: str) -> str:
    """The text with the values of tokens, passwords and keys as stars."""
    return _SECRET.sub(lambda found: found[1] + _STARS, text)


class Masking(logging.Filter):
    """Puts stars in place of secrets, also inside arguments and tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = masked(record.exc_text)
        return True


class Quiet(logging.Filter):
    """Lets the same message through once in `seconds`, and counts the ones between.

    A sampler that fails twice a second would fill a disk with one sentence.
    """

    def __init__(
        self, seconds: float = QUIET_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text, now = record.getMessage(), self._clock()
        with self._lock:
            if len(self._said) > 1000:
                self._said.clear()
            at, held_back = self._said.get(text, (now - self._seconds, 0))
            if now - at < self._seconds:
                self._said[text] = (at, held_back + 1)
                return False
            self._said[text] = (now, 0)
        if held_back:
            record.msg, record.args = f"{text} ({held_back} more since the last time)", None
        return True


class _Forward(logging.Handler):
    """To another logger's handlers, under its level."""

    def __init__(self, to: logging.Logger) -> None:
        super().__init__()
        self.to = to

    def emit(self, record: logging.LogRecord) -> None:
        if self.to.isEnabledFor(record.levelno):
            self.to.handle(record)


def attach(to: logging.Logger) -> None:
    """Send all of ours to this logger (the Jupyter server's). Again: replaces the former one."""
    ours = logging.getLogger(LOGGER)
    for handler in list(ours.handlers):
        if isinstance(handler, _Forward):
            ours.removeHandler(handler)
    forward = _Forward(to)
    forward.addFilter(Quiet())
    forward.addFilter(Masking())
    ours.addHandler(forward)
    ours.setLevel(to.getEffectiveLevel())
