"""One error line, one hint line, and the right exit code, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from personsearch import errors
from personsearch.cli import failures
from personsearch.cli.main import run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.PersonSearchError("a", hint="b"), 1, ["error: a", "hint: b"]),
        (errors.UsageError("a"), 2, ["error: a"]),
        (errors.PartialFailure("a"), 3, ["error: a"]),
        (errors.InputError("two\nlines\x1b[2J", hint="b"), 4, ["error: two lines?[2J", "hint: b"]),
        (errors.DatasetError("a"), 4, ["error: a"]),
        (errors.ModelMismatch("a"), 5, ["error: a"]),
        (errors.LockedError("a"), 6, ["error: a"]),
        (KeyboardInterrupt(), 130, ["error: interrupted", "hint: what is finished is kept"]),
        (failures.Terminated(), 143, ["error: interrupted", "hint: what is finished is kept"]),
        (
            OSError(errno.ENOSPC, "No space left", "x.bin"),
            1,
            ["error: x.bin: No space left", "hint: free some space"],
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            1,
            ["error: x: Permission denied", "hint: check"],
        ),
        (
            FileExistsError(errno.EEXIST, "File exists", "run"),
            1,
            ["error: run: File exists", "hint: a file stands where a folder is needed"],
        ),
        (MemoryError(), 1, ["error: not enough memory", "hint: close"]),
        (
            KeyError("x"),
            1,
            ["error: unexpected KeyError: 'x'", "hint: this is a defect of personsearch; run again"],
        ),
        (ValueError(), 1, ["error: unexpected ValueError", "hint: this is a defect"]),
    ],
)
def test_every_error_is_two_lines_and_a_code(
    error: BaseException, code: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures.report(error) == code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said, strict=True)), lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serch"], "No such command 'serch'"),
        (["search"], "Missing option"),
        (["index", "--galery", "x"], "No such option"),
        (["train", "--root", "x", "--out", "y", "--seed", "many"], "--seed"),
        (["train", "--root", "x", "--out", "y", "--seed", "-1"], "--seed"),
        (["dataset", "make", "--out", "y", "--seed", "-1"], "--seed"),
        (["demo", "--out", "y", "--seed", str(2**32)], "--seed"),
        (["detect", "x.jpg", "--model", "m", "--conf", "2"], "--conf"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert "\nhint: see personsearch" in err
    assert len(err.splitlines()) == 2


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with an ``x.jpg``: sources are looked for before a model is loaded."""
    (tmp_path / "x.jpg").write_bytes(b"never read")
    monkeypatch.chdir(tmp_path)


def doing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """Let ``detect`` do ``work`` when it loads its model."""
    monkeypatch.setattr("personsearch.model.checkpoint.load_searcher", lambda *given, **named: work())


def test_interrupt_and_terminate_end_with_130_and_143(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            doing(monkeypatch, lambda number=number: os.kill(os.getpid(), number))
            assert run(["detect", "x.jpg", "--model", "m"]) == code
            assert "error: interrupted" in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGTERM, before)


def test_debug_shows_the_traceback_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    doing(monkeypatch, fail)
    for words in (
        ["--debug", "detect", "x.jpg", "--model", "m"],
        ["detect", "x.jpg", "--model", "m", "--debug"],
    ):
        assert run(words) == 1
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert "error: unexpected RuntimeError: a defect" in err
    assert run(["detect", "x.jpg", "--model", "m"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_closed_pipe_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    doing(monkeypatch, fail)
    monkeypatch.setattr("personsearch.cli.main._drop_stdout", lambda: None)
    assert run(["detect", "x.jpg", "--model", "m"]) == 1
    assert "error" not in capsys.readouterr().err


def test_closed_streams_are_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert run(["--version"]) == 0
    assert run(["serch"]) == 2
