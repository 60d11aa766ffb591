"""The log: it reaches Jupyter's, without secrets and without floods."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from gpu_workbench_server.observe.logging import LOGGER, Quiet, attach, masked


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the "Jupyter server" writes after `attach`."""
    text = io.StringIO()
    jupyter = logging.Logger("ServerApp", logging.INFO)
    jupyter.addHandler(logging.StreamHandler(text))
    ours = logging.getLogger(LOGGER)
    was, handlers = ours.level, list(ours.handlers)
    attach(jupyter)
    yield text
    ours.handlers[:] = handlers
    ours.setLevel(was)


def test_our_messages_go_to_jupyters_log_at_its_level(written: io.StringIO) -> None:
    log = logging.getLogger(f"{LOGGER}.services.broker")
    log.info("a lease was granted")
    log.debug("nobody asked for this")
    assert written.getvalue() == "a lease was granted\n"


def test_attached_twice_is_written_once(written: io.StringIO) -> None:
    jupyter = logging.Logger("ServerApp", logging.INFO)
    jupyter.addHandler(logging.StreamHandler(written))
    attach(jupyter)
    logging.getLogger(LOGGER).info("once")
    assert written.getvalue() == "once\n"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("GET /lab?token=abc123&x=1", "GET /lab?token=***&x=1"),
        ("Authorization: token abc123", "Authorization: token ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"password": "hunter2", "user": "ada"}', '{"password": "***", "user": "ada"}'),
        ("JUPYTERHUB_API_TOKEN=abc123", "JUPYTERHUB_API_TOKEN=***"),
        ("postgresql://gpu:hunter2@db/gpu", "postgresql://gpu:***@db/gpu"),
        ("AWS_SECRET='abc'", "AWS_SECRET='***'"),
        ("lease 4 of ada: no token was given", "lease 4 of ada: no token was given"),
        ("http://127.0.0.1:8888/lab", "http://127.0.0.1:8888/lab"),
    ],
)
def test_secrets_become_stars(text: str, safe: str) -> None:
    assert masked(text) == safe


def test_secrets_become_stars_in_arguments_and_tracebacks_too(written: io.StringIO) -> None:
    log = logging.getLogger(LOGGER)
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        log.exception("could not call %s", "/api?token=abc123")
    assert "abc123" not in written.getvalue()
    assert "hunter2" not in written.getvalue()
    assert "ValueError" in written.getvalue()


def test_the_same_message_is_written_once_a_minute_and_counted() -> None:
    now = 0.0
    quiet = Quiet(60.0, lambda: now)

    def say(text: str) -> str | None:
        record = logging.LogRecord("x", logging.WARNING, "", 1, "%s", (text,), None)
        return record.getMessage() if quiet.filter(record) else None

    assert say("a") == "a"
    assert say("b") == "b"
    assert [say("a"), say("a")] == [None, None]
    now = 61.0
    assert say("a") == "a (2 more since the last time)"
    assert say("a") is None
