"""Progress for eyes and for logs."""

from __future__ import annotations

import io

from rich.console import Console

from dgreid import progress as module
from dgreid.progress import progress


def test_short_work_writes_nothing_into_a_log():
    out = io.StringIO()
    with progress("embedding", 10, Console(file=out)) as advance:
        advance(4)
        advance(10)
    assert out.getvalue() == ""


def test_long_work_writes_a_line_now_and_then(monkeypatch):
    clock = iter([0.0, 10.0, 31.0, 40.0, 50.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    out = io.StringIO()
    with progress("embedding", 5000, Console(file=out, width=200)) as advance:
        for done in (1000, 3100, 4000, 5000):
            advance(done)
    assert out.getvalue() == (
        "embedding: 3,100 of 5,000 images, 100 a second\nembedding: 5,000 of 5,000 images, 100 a second\n"
    )


def test_a_terminal_gets_a_bar():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress("reading", 20, console) as advance:
        advance(7)
    assert "reading" in out.getvalue()
    assert "7/20" in out.getvalue()
