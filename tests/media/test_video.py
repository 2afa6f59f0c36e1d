"""Frames of videos: the right ones, upright, at their own times; what is wrong with a file, in one line."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from personsearch.errors import InputError, UsageError
from personsearch.media import container
from personsearch.media.container import LIMITS
from personsearch.media.sampling import ALL, KEYFRAMES, Sampling, every, scenes
from personsearch.media.video import Video


def seen(
    path: Path, sampling: Sampling = ALL, number_of: Callable | None = None
) -> list[tuple[int, float, int]]:
    with Video(path) as video:
        return [
            (frame.pts, round(frame.position, 6), -1 if number_of is None else number_of(frame.pixels))
            for frame in video.frames(sampling)
        ]


def refused(path: Path, **limits: int) -> str:
    with pytest.raises(InputError) as caught, Video(path, replace(LIMITS, **limits)) as video:
        for _ in video.frames():
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mpeg4"),
        ("a.mp4", "libx264"),
        ("a.mkv", "mpeg4"),
        ("a.avi", "mjpeg"),
        ("a.ts", "mpeg2video"),
    ],
)
def test_every_frame_of_every_container(film, number_of, tmp_path: Path, name: str, codec: str) -> None:
    base = Fraction(1, 25)
    path = film(tmp_path / name, 8, pts=range(8), time_base=base, codec=codec, sound=name == "a.mp4")
    found = seen(path, number_of=number_of)
    assert [position for _, position, _ in found] == [round(n / 25, 6) for n in range(8)]
    assert [number for _, _, number in found] == list(range(8))


def test_variable_frame_rate_is_told_by_time_stamps_alone(film, number_of, tmp_path: Path) -> None:
    stamps = [0, 40, 80, 2000, 2010, 2500, 7000]
    path = film(tmp_path / "vfr.mkv", len(stamps), pts=stamps)
    assert seen(path, number_of=number_of) == [(t, t / 1000, n) for n, t in enumerate(stamps)]
    assert seen(path, every("1s"), number_of) == [(0, 0.0, 0), (2000, 2.0, 3), (7000, 7.0, 6)]
    assert [t for t, _, _ in seen(path, every("2500ms"))] == [0, 2500, 7000]


def test_the_first_frame_need_not_be_at_zero(film, tmp_path: Path) -> None:
    path = film(tmp_path / "late.mkv", 3, pts=[5000, 5500, 6200])
    assert seen(path) == [(5000, 0.0, -1), (5500, 0.5, -1), (6200, 1.2, -1)]


def test_joined_recordings_go_on(film, number_of, tmp_path: Path) -> None:
    base = Fraction(1, 25)
    one = film(tmp_path / "one.ts", 6, pts=range(6), time_base=base, codec="mpeg2video").read_bytes()
    (tmp_path / "both.ts").write_bytes(one + one)
    found = seen(tmp_path / "both.ts", number_of=number_of)
    assert [number for _, _, number in found] == [*range(6), *range(6)]
    positions = [position for _, position, _ in found]
    assert positions == [round(n / 25, 6) for n in range(12)]
    assert len(seen(tmp_path / "both.ts", every("120ms"))) == 4


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_turned_films_come_upright(film, tmp_path: Path, angle: int) -> None:
    path = film(tmp_path / "turned.mp4", 3, turned=angle)
    with Video(path) as video:
        frame = next(iter(video.frames()))
    height, width = frame.pixels.shape[:2]
    assert (width, height) == ((64, 48) if angle % 180 == 0 else (48, 64))
    corners = {(y, x): frame.pixels[(2, -3)[y], (2, -3)[x]].astype(int) for y in (0, 1) for x in (0, 1)}
    red = [where for where, colour in corners.items() if colour[0] > 180 and colour[1] < 80]
    # A positive angle turns counter-clockwise: the top left corner comes to lie at the bottom left.
    assert red == [{0: (0, 0), 90: (1, 0), 180: (1, 1), 270: (0, 1)}[angle]]


def test_keyframes_and_scenes(film, still, tmp_path: Path) -> None:
    path = film(tmp_path / "gop.mkv", 30, gop=10)
    assert [t for t, _, _ in seen(path, KEYFRAMES)] == [0, 1000, 2000]
    quiet, busy = still(0), still(0)
    busy = busy.copy()
    busy[8:40, 40:52] = 200  # somebody enters
    frames = [quiet] * 5 + [busy] * 5 + [quiet] * 5
    path = film(tmp_path / "room.mkv", frames)
    assert [t for t, _, _ in seen(path, scenes())] == [0, 500, 1000]
    assert [t for t, _, _ in seen(path, scenes(0.9))] == [0]


def x264(path: Path, frames: int, size: int = 64) -> Path:
    """Noise at 25 frames a second with two B-frames and one keyframe in 250."""
    noise = np.random.default_rng(0).integers(0, 255, (frames, size, size, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        stream.options = {
            "bf": "2",
            "b_strategy": "0",
            "g": "250",
            "sc_threshold": "0",
            "preset": "ultrafast",
        }
        for pixels in noise:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_frames_that_avi_stores_out_of_order_have_their_own_times(tmp_path: Path) -> None:
    path = x264(tmp_path / "b.avi", 30)
    assert [position for _, position, _ in seen(path)] == [round(n / 25, 6) for n in range(30)]


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_one_keyframe_is_no_damage(tmp_path: Path, name: str) -> None:
    path = x264(tmp_path / name, 60)
    with Video(path) as video:
        assert [frame.position for frame in video.frames(KEYFRAMES)] == [0.0]
        assert video.damage is None


def test_keyframes_of_joined_recordings_are_where_all_frames_say(film, tmp_path: Path) -> None:
    base = Fraction(1, 25)
    one = film(tmp_path / "one.ts", 20, pts=range(20), time_base=base, codec="mpeg2video").read_bytes()
    (tmp_path / "both.ts").write_bytes(one + one)
    with Video(tmp_path / "both.ts") as video:
        keys = [frame.position for frame in video.frames() if frame.key]
    assert [position for _, position, _ in seen(tmp_path / "both.ts", KEYFRAMES)] == [
        round(position, 6) for position in keys
    ]
    assert 0.8 in keys


def test_pixels_that_are_not_square_become_so(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        out.mux(stream.encode(None))
    with Video(path) as video:
        assert [frame.pixels.shape for frame in video.frames()] == [(48, 96, 3)]


def test_what_the_file_says_of_itself(film, tmp_path: Path) -> None:
    path = film(
        tmp_path / "tagged.mkv", 20, tags={"creation_time": "2024-05-01T12:00:00Z", "make": "Cam\x1b"}
    )
    with Video(path) as video:
        assert video.created == 1714564800.0
        assert video.camera == "Cam?"
    path = film(tmp_path / "zero.mkv", 3, tags={"creation_time": "1904-01-01T00:00:00Z"})
    with Video(path) as video:
        assert (video.created, video.camera) == (None, None)


def test_a_cut_off_film_gives_what_there_is_and_says_so(film, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.avi", 100, pts=range(100), time_base=Fraction(1, 25), codec="mjpeg")
    with Video(whole) as video:
        assert len(list(video.frames())) == 100
        assert video.damage is None
    content = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 6 // 10])
    with Video(tmp_path / "cut.avi") as video:
        assert 40 < len(list(video.frames())) < 80
        assert "of 100 frames" in (video.damage or "")


def test_damage_in_the_middle_is_passed_over_and_told(film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", 60, pts=range(60), time_base=Fraction(1, 25), codec="mpeg2video")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 188 * 188
    content[middle : middle + 188 * 6] = np.random.default_rng(1).bytes(188 * 6)
    path.write_bytes(content)
    with Video(path) as video:
        found = len(list(video.frames()))
        assert 20 < found < 60
        assert video.damage is not None


def test_files_that_are_no_videos(film, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "is empty (0 bytes)" in refused(tmp_path / "empty.mp4")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    assert "is not a video that can be read" in refused(tmp_path / "noise.mp4")
    whole = film(tmp_path / "a.mp4", 10).read_bytes()
    assert whole.find(b"moov") > whole.find(b"mdat")  # the table of contents comes last
    (tmp_path / "half.mp4").write_bytes(whole[: whole.find(b"moov")])
    assert "is not a video that can be read" in refused(tmp_path / "half.mp4")
    assert "does not exist" in refused(tmp_path / "nowhere.mp4")
    assert "is a folder" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "not a regular file" in refused(tmp_path / "pipe.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        out.mux(stream.encode(silence))
        out.mux(stream.encode(None))
    assert "has no video that can be decoded (it holds: audio)" in refused(tmp_path / "sound.mp4")


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "hls from the net": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {target}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    "<AdaptationSet><Representation><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "subtitles": "1\n00:00:00,000 --> 00:00:05,000\n{target}\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
def test_playlists_open_nothing(film, tmp_path: Path, kind: str, suffix: str) -> None:
    import socket

    secret = film(tmp_path / "secret.ts", 5, pts=range(5), time_base=Fraction(1, 25), codec="mpeg2video")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        path = tmp_path / f"list{suffix}"
        path.write_text(PLAYLISTS[kind].format(target=secret, port=port))
        opened: list[str] = []
        real = os.open

        def watching(where: object, *more: object, **words: object) -> int:
            opened.append(str(where))
            return real(where, *more, **words)  # type: ignore[arg-type, call-overload]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", watching)
            assert "is not a video that can be read" in refused(path)
        assert str(secret) not in opened
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_leash_is_what_holds_playlists_back(
    film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the list of containers, the empty list of protocols still keeps FFmpeg from other files."""
    secret = film(tmp_path / "secret.ts", 5, pts=range(5), time_base=Fraction(1, 25), codec="mpeg2video")
    path = tmp_path / "list.ffconcat"
    path.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    with av.open(str(path), options={"safe": "0"}) as planted:  # a planted mistake: this is what is prevented
        assert len(list(planted.decode(video=0))) == 5
    monkeypatch.setattr(container, "CONTAINERS", f"{container.CONTAINERS},concat")
    refused(path)


def test_names_are_never_interpreted(film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "a.mkv", 4).rename(tmp_path / "concat:a.mkv")
    film(tmp_path / "b%03d.mkv", 4)
    monkeypatch.chdir(tmp_path)
    assert len(seen(Path("concat:a.mkv"))) == 4
    assert len(seen(Path("b%03d.mkv"))) == 4


def test_frames_beyond_the_limit(film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 5)
    assert "no frame that can be decoded" in refused(path, pixels=3000)
    assert "more than 3 frames" in refused(path, frames=3)
    long = film(tmp_path / "long.mkv", 3, pts=[0, 100, 5_000_000])
    assert "claims a frame 5000 s after its first" in refused(long, seconds=60)


def test_headers_that_lie_about_the_size(film, tmp_path: Path) -> None:
    """Of the container, which does not count; of the pictures themselves, which are then not decoded."""
    path = film(tmp_path / "a.mp4", 5)
    content = path.read_bytes()
    at = content.rindex(struct.pack(">HH", 64, 48))
    path.write_bytes(content[:at] + struct.pack(">HH", 65_000, 65_000) + content[at + 4 :])
    with Video(path) as video:
        assert all(max(frame.pixels.shape) < 300 for frame in video.frames())
    path = film(tmp_path / "a.avi", 5, pts=range(5), time_base=Fraction(1, 25), codec="mjpeg")
    size = struct.pack(">HH", 48, 64)
    content = path.read_bytes()
    assert content.count(size) >= 5
    path.write_bytes(content.replace(size, struct.pack(">HH", 65_000, 65_000)))
    assert "no frame that can be decoded" in refused(path) or "not a video" in refused(path)


def test_thousands_of_streams(tmp_path: Path) -> None:
    path = tmp_path / "many.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("mpeg4", rate=25) for _ in range(120)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        for stream in streams:
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert "streams" in refused(path) or "not a video" in refused(path)
    with Video(path, replace(LIMITS, streams=200)) as video:
        assert len(list(video.frames())) == 1


def test_absurd_frame_rates_cost_nothing(film, tmp_path: Path) -> None:
    fast = film(tmp_path / "fast.mp4", 30, pts=range(30), time_base=Fraction(1, 60_000))
    assert len(seen(fast, every("1s"))) == 1
    slow = film(tmp_path / "slow.mkv", 3, pts=[0, 400_000, 800_000])
    assert [position for _, position, _ in seen(slow, every("1s"))] == [0, 400, 800]


def test_without_the_extra_the_hint_says_what_to_install(film, tmp_path: Path, monkeypatch) -> None:
    path = film(tmp_path / "a.mp4", 3)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(UsageError, match="reader of videos is not installed") as caught:
        Video(path)
    assert "personsearch[video]" in caught.value.hint
