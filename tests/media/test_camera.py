"""Cameras that stall, break off and come back; over a real connection, and by an opener that fails."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import PersonSearchError, UsageError
from personsearch.media import camera as cameras
from personsearch.media.camera import Camera, CameraSettings, Grab, camera, redacted
from personsearch.types import Array

QUICK = CameraSettings(open_timeout=5.0, read_timeout=5.0, wait=0.01, longest_wait=0.05, attempts=5)


def grabs(first: int, last: int, pause: float = 0.002) -> Iterator[Grab]:
    for number in range(first, last):
        time.sleep(pause)
        yield lambda number=number: np.full((4, 6, 3), number, np.uint8)  # type: ignore[misc]


def no_threads_left() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith("camera")]


def test_connects_again_after_failures_and_breaks() -> None:
    tries = itertools.count()

    def opener() -> Iterator[Grab]:
        number = next(tries)
        if number in (0, 1, 3):
            raise OSError(f"try {number}")
        return grabs(20 * number, 20 * number + 5)

    source = Camera("yard", opener, QUICK)
    seen = [int(frame.pixels[0, 0, 0]) for frame in source.frames(0.0, most=9, seconds=20)]
    assert seen == sorted(seen)
    assert 40 <= seen[0] < 45
    assert seen[-1] >= 80
    assert source.health.connections >= 2
    assert source.health.failures >= 4
    assert no_threads_left()


def test_only_the_newest_frame_is_given() -> None:
    source = Camera("yard", lambda: grabs(0, 250, 0.005), QUICK)
    seen = [int(frame.pixels[0, 0, 0]) for frame in source.frames(0.25, most=3, seconds=20)]
    assert len(seen) == 3
    assert seen[2] - seen[0] > 5  # those in between were dropped, not queued
    assert source.health.dropped >= 3
    assert source.health.received >= source.health.dropped + 3


def test_gives_up_after_so_many_tries_in_a_row() -> None:
    tried: list[float] = []

    def opener() -> Iterator[Grab]:
        tried.append(time.monotonic())
        raise OSError("no route to the camera")

    source = Camera("yard", opener, CameraSettings(wait=0.02, longest_wait=0.08, attempts=5))
    with pytest.raises(PersonSearchError, match=r"camera yard cannot be reached: no route .*\(5 tries\)"):
        list(source.frames(0.0))
    assert len(tried) == 5
    pauses = np.diff(tried)
    assert pauses[0] >= 0.02
    assert pauses[1] >= 0.04
    assert pauses[2] >= 0.08
    assert no_threads_left()


def test_a_success_makes_the_tries_count_anew() -> None:
    tries = itertools.count()

    def opener() -> Iterator[Grab]:
        if next(tries) % 4:
            raise OSError("not now")
        return grabs(0, 1)

    settings = CameraSettings(wait=0.001, longest_wait=0.002, attempts=5)
    assert len(list(Camera("yard", opener, settings).frames(0.0, most=4, seconds=20))) == 4


def test_a_time_limit_before_the_last_try_hides_no_failure() -> None:
    def opener() -> Iterator[Grab]:
        raise OSError("no route to the camera")

    patient = CameraSettings(wait=5.0, attempts=10)
    with pytest.raises(PersonSearchError, match="camera yard cannot be reached: no route to the camera"):
        list(Camera("yard", opener, patient).frames(0.0, seconds=0.3))
    assert no_threads_left()


def test_ends_in_time() -> None:
    started = time.monotonic()
    endless = Camera("yard", lambda: grabs(0, 10**6), QUICK)
    assert len(list(endless.frames(0.02, seconds=0.3))) > 2

    def nothing() -> Iterator[Grab]:
        time.sleep(0.6)  # longer than anybody waits for it
        yield from ()

    silent = Camera("yard", nothing, QUICK)
    with pytest.raises(PersonSearchError, match="camera yard cannot be reached: no frame arrived in time"):
        list(silent.frames(0.02, seconds=0.3))
    assert time.monotonic() - started < 5
    assert no_threads_left()


@pytest.fixture
def stream(tmp_path: Path, film: Callable) -> bytes:
    path = film(tmp_path / "s.ts", 40, pts=range(40), time_base=Fraction(1, 25), codec="mpeg2video", gop=5)
    return path.read_bytes()


def serve(server: socket.socket, content: bytes, pause: float) -> None:
    """Send the stream to everybody who connects, slowly, and then hang up."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            try:
                for at in range(0, len(content), 188 * 4):
                    client.sendall(content[at : at + 188 * 4])
                    time.sleep(pause)
            except OSError:
                pass


def test_over_a_connection_that_is_cut(stream: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server, stream, 0.005), daemon=True)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        source = camera(address, settings=QUICK)
        frames = []
        for frame in source.frames(0.0, seconds=30):
            frames.append(frame)
            if source.health.connections >= 2 and len(frames) > 3:
                break
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert source.health.connections >= 2
    assert abs(frames[-1].time - time.time()) < 60
    assert no_threads_left()


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = CameraSettings(open_timeout=0.3, read_timeout=0.3, wait=0.01, attempts=2)
        source = camera(f"tcp://127.0.0.1:{server.getsockname()[1]}", settings=settings)
        started = time.monotonic()
        with pytest.raises(PersonSearchError, match="no answer in time"):
            list(source.frames(0.0))
        assert time.monotonic() - started < 10


def test_passwords_are_never_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    source = camera(f"rtsp://ana:s3cret@127.0.0.1:{port}/live?key=s3cret", settings=QUICK)
    assert "s3cret" not in source.name
    with pytest.raises(PersonSearchError) as caught:
        list(source.frames(0.0, seconds=20))
    assert "s3cret" not in str(caught.value) + source.health.last_error + repr(caught.value.__context__)
    assert redacted("http://u:p@h/x?y#z") == "http://h/x"
    assert redacted("rtsp:u:p@h") == "rtsp://h"


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "concat:a|b",
        "lavfi:testsrc",
        "http:/x",
        "pipe:0",
        "rtsp:x",
        "data:,x",
        "hls+http://x",
    ],
)
def test_addresses_that_are_no_cameras(address: str) -> None:
    with pytest.raises(UsageError, match="is no camera"):
        camera(address)


def test_without_the_reader_no_camera_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for address in ("rtsp://10.0.0.7/1", "webcam:0"):
        with pytest.raises(UsageError, match="reader of videos is not installed"):
            camera(address)


def test_a_playlist_behind_an_address_opens_nothing(tmp_path: Path, film: Callable) -> None:
    secret = film(tmp_path / "s.ts", 5, pts=range(5), time_base=Fraction(1, 25), codec="mpeg2video")
    body = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n".encode()
    answer = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n" + body
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, answer, 0.0), daemon=True).start()
        settings = CameraSettings(open_timeout=2.0, read_timeout=2.0, wait=0.01, attempts=1)
        source = camera(f"http://127.0.0.1:{server.getsockname()[1]}/x.m3u8", settings=settings)
        with pytest.raises(PersonSearchError, match="cannot be reached"):
            list(source.frames(0.0))
    assert source.health.received == 0


def test_no_protocol_that_opens_files() -> None:
    for allowed in cameras.PROTOCOLS.values():
        assert not {"file", "pipe", "concat", "subfile", "crypto", "data", "hls"} & set(allowed.split(","))


def test_the_time_is_up_though_there_is_always_a_newer_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that is quicker than whoever looks: a second is over after one look that takes two."""
    clock = [0.0]
    stopped = types.SimpleNamespace(monotonic=lambda: clock[0], time=time.time)
    monkeypatch.setattr("personsearch.media.camera.time", stopped)

    def opener() -> Iterator[Grab]:
        while True:
            yield lambda: np.zeros((4, 4, 3), np.uint8)
            time.sleep(0.001)

    seen = 0
    for _ in Camera("yard", opener, CameraSettings()).frames(0.0, most=50, seconds=1.0):
        seen += 1
        clock[0] += 2.0
    assert seen == 1


def test_what_is_to_be_done_in_between_is_done_in_the_pause_of_every(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "BREATH", 0.02)
    events: list[str] = []
    source = Camera("yard", lambda: grabs(0, 10**6), QUICK)
    for _ in source.frames(0.2, most=2, seconds=20, idle=lambda: events.append("idle")):
        events.append("frame")
    first, second = (at for at, event in enumerate(events) if event == "frame")
    assert second - first >= 5


@pytest.mark.parametrize(("takes", "breaths"), [(0.0, [0.5, 0.5, 0.25]), (0.5, [0.5, 0.25]), (9.0, [0.5])])
def test_what_is_done_in_a_pause_counts(
    takes: float, breaths: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, waits = [0.0], []
    monkeypatch.setattr(cameras, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    reader = cameras._Reader(lambda: iter(()), QUICK, cameras.Health())
    monkeypatch.setattr(reader.stopped, "wait", waits.append)

    def idle() -> None:
        clock[0] += takes

    reader.rest(1.25, idle)
    assert waits == breaths


def test_a_frame_that_comes_as_the_camera_is_lost_is_given() -> None:
    """It comes between two looks: after there was none, and before it is asked whether more may come."""
    reader = cameras._Reader(lambda: iter(()), QUICK, cameras.Health())

    class Race(threading.Condition):
        def __exit__(self, *error: object) -> None:
            super().__exit__(*error)
            if not reader.stopped.is_set():
                reader._newest = (lambda: np.zeros((4, 6, 3), np.uint8)), 7.0
                reader.stopped.set()

    reader._changed = Race()
    taken = reader.take(time.monotonic() + 20, lambda: None)
    assert taken is not None
    assert taken.time == 7.0
    assert reader.take(None, lambda: None) is None


def test_frames_that_cannot_be_converted_keep_nobody_beyond_the_time_limit() -> None:
    def broken() -> Array:
        raise ValueError("no colours")

    reader = cameras._Reader(lambda: iter(()), QUICK, cameras.Health())

    class Quick(threading.Condition):
        def __enter__(self) -> bool:
            entered = super().__enter__()
            reader._newest = broken, 7.0  # there is always a newer one
            return entered

    reader._changed = Quick()
    idle: list[int] = []
    assert reader.take(time.monotonic() + 0.05, lambda: idle.append(1)) is None
    assert idle
    assert "no colours" in reader._health.last_error


def test_a_camera_quicker_than_whoever_looks_leaves_time_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No wait, no pause, and yet: what is done in between is done every ten frames of a second each."""
    clock = [0.0]
    stopped = types.SimpleNamespace(monotonic=lambda: clock[0], time=time.time)
    monkeypatch.setattr("personsearch.media.camera.time", stopped)
    monkeypatch.setattr("personsearch.media.pacing.time", stopped)
    monkeypatch.setattr(cameras, "BREATH", 10.0)
    idle: list[float] = []
    source = Camera("yard", lambda: grabs(0, 10**6, 0.0), QUICK)
    for _ in source.frames(0.0, most=25, idle=lambda: idle.append(clock[0])):
        clock[0] += 1.0
    assert idle == [0.0, 9.0, 18.0]  # nine tenths of a breath: a wait may end a moment early


def test_whoever_sees_a_break_reads_its_reason() -> None:
    """A break is polled for by another thread: the reason is there before the number grows."""

    class Watched(cameras.Health):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "failures" and value:
                assert self.last_error
            super().__setattr__(name, value)

    source = Camera("yard", lambda: iter(()), QUICK, Watched())
    with pytest.raises(PersonSearchError, match="the stream ended"):
        list(source.frames(0.0, seconds=5))
    assert source.health.failures == 5
