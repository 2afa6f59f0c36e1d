"""Pieces of videos: the right frames at the right times, the sound beside them, whatever the file is like."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.media.clips import Cutter, Piece, merged, pieces_around

RATE = 16000


def shown(path: Path, number_of) -> list[tuple[float, int]]:
    with av.open(str(path)) as file:
        return [
            (round(float(frame.pts * frame.time_base), 3), number_of(frame.to_ndarray(format="rgb24")))
            for frame in file.decode(video=0)
        ]


def heard(path: Path) -> tuple[np.ndarray, int, float]:
    """Samples of a clip's sound, how many a second, and when the first of them is."""
    with av.open(str(path)) as file:
        frames = [f for f in file.decode(audio=0) if f.pts is not None]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        return samples, frames[0].sample_rate, float(frames[0].pts * frames[0].time_base)


def loud(path: Path) -> tuple[float, float]:
    """When the tone begins and ends."""
    samples, rate, start = heard(path)
    where = np.flatnonzero(np.abs(samples) > 0.2)
    return start + where[0] / rate, start + where[-1] / rate


def with_tone(
    path: Path, tone: tuple[float, float], still, *, seconds=6, codec="aac", hole=None, step=100
) -> Path:
    """A film with numbered stills every ``step`` ms and a tone for a while; no sound at all in ``hole``."""
    times = np.arange(seconds * RATE) / RATE
    samples = np.where((times >= tone[0]) & (times < tone[1]), 0.8 * np.sin(2 * np.pi * 440 * times), 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt, video.gop_size = 64, 48, "yuv420p", 12
        video.codec_context.time_base = Fraction(1, 1000)
        sound = out.add_stream(codec, rate=RATE, layout="mono")
        for number in range(seconds * 1000 // step):
            frame = av.VideoFrame.from_ndarray(still(number), format="rgb24")
            frame.pts, frame.time_base = number * step, Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        block = sound.codec_context.frame_size or 1024
        for start in range(0, len(samples), block):
            at = start / RATE
            if hole is not None and hole[0] <= at < hole[1]:
                continue
            if codec == "pcm_s16le":
                part, form = (samples[start : start + block] * 32767).astype(np.int16), "s16"
            else:
                part, form = samples[start : start + block].astype(np.float32), "fltp"
            frame = av.AudioFrame.from_ndarray(part[None], format=form, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def cut(film: Path, out: Path, *pieces: tuple[float, float]):
    clips = []
    with Cutter(film) as cutter:
        for number, (start, end) in enumerate(pieces):
            clips.append(cutter.cut(Piece(start=start, end=end), out / f"{number}.mp4"))
    return clips


def test_the_frames_of_a_piece_and_the_one_on_the_screen_when_it_begins(film, number_of, tmp_path):
    source = film(tmp_path / "a.mp4", 30)
    (clip,) = cut(source, tmp_path, (1.05, 1.5))
    assert shown(tmp_path / "0.mp4", number_of) == [
        (0.0, 10),
        (0.05, 11),
        (0.15, 12),
        (0.25, 13),
        (0.35, 14),
        (0.45, 15),
    ]
    assert (clip.frames, clip.width, clip.height, clip.sound) == (6, 64, 48, False)


def test_several_pieces_of_one_video_in_order(film, number_of, tmp_path):
    source = film(tmp_path / "a.mkv", 39)
    cut(source, tmp_path, (0, 0.2), (0.25, 0.3), (3.0, 9.0))
    assert [n for _, n in shown(tmp_path / "0.mp4", number_of)] == [0, 1, 2]
    assert shown(tmp_path / "1.mp4", number_of) == [(0.0, 2), (0.05, 3)]
    assert [n for _, n in shown(tmp_path / "2.mp4", number_of)] == list(range(30, 39))


@pytest.mark.parametrize("name", ["far.mp4", "far.mkv", "far.avi", "far.ts"])
def test_a_piece_far_inside_is_the_same_with_a_table_of_keyframes_and_without(
    film, number_of, tmp_path, name
):
    stamps = [500 * n for n in range(120)]  # a minute
    codec = "libx264" if name == "far.ts" else "mpeg4"
    more = {"pts": stamps, "codec": codec, "gop": 7}
    if name == "far.avi":  # AVI has no time stamps, only a rate
        more = {"pts": list(range(750)), "time_base": Fraction(1, 25), "codec": codec, "gop": 7}
    source = film(
        tmp_path / name, len(more.pop("pts")), pts=stamps if name != "far.avi" else list(range(750)), **more
    )
    start, end = (20.0, 20.2) if name == "far.avi" else (47.5, 49.0)
    cut(source, tmp_path, (start, end))
    numbers = [n for _, n in shown(tmp_path / "0.mp4", number_of)]
    expected = range(500, 506) if name == "far.avi" else range(95, 99)
    assert numbers == [n % 40 for n in expected]


def test_uneven_frame_rates_keep_their_times(film, number_of, tmp_path):
    stamps = [0, 40, 80, 1500, 1540, 3000, 9000]
    source = film(tmp_path / "vfr.mkv", len(stamps), pts=stamps)
    cut(source, tmp_path, (1.0, 3.2), (4.0, 8.0))
    assert shown(tmp_path / "0.mp4", number_of) == [(0.0, 2), (0.5, 3), (0.54, 4), (2.0, 5)]
    # nothing changes in the whole second piece: it is one picture, as long as the piece
    assert shown(tmp_path / "1.mp4", number_of) == [(0.0, 5), (4.0, 5)]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.avi", "pcm_s16le")])
def test_the_sound_stays_beside_the_frames(still, number_of, tmp_path, name, codec):
    source = with_tone(tmp_path / name, (3.0, 3.5), still, codec=codec, step=40 if name == "a.avi" else 100)
    (clip,) = cut(source, tmp_path, (2.25, 5.0))
    assert clip.sound
    begins, ends = loud(tmp_path / "0.mp4")
    assert begins == pytest.approx(0.75, abs=0.04)
    assert ends == pytest.approx(1.25, abs=0.04)
    samples, rate, _ = heard(tmp_path / "0.mp4")
    assert len(samples) / rate == pytest.approx(2.75, abs=0.1)


@pytest.mark.parametrize(("b_frames", "start"), [(0, 13.0), (2, 12.0), (2, 13.0)])
def test_the_sound_of_avi_stays_beside_frames_that_are_stored_out_of_order(
    number_of, still, tmp_path, b_frames, start
):
    """Every frame from 14 s to 14.5 s is black, and there is a tone: 1 or 2 s into the piece."""
    source, seconds = tmp_path / "b.avi", 16
    times = np.arange(seconds * RATE) / RATE
    tone = np.where((times >= 14) & (times < 14.5), 0.8 * np.sin(2 * np.pi * 440 * times), 0)
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"bf": str(b_frames), "b_strategy": "0", "g": "50", "preset": "ultrafast"}
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(still(0 if 350 <= number < 363 else 30), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
            part = (tone[number * RATE // 25 : (number + 1) * RATE // 25] * 32767).astype(np.int16)
            heard_now = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
            heard_now.sample_rate, heard_now.pts = RATE, number * RATE // 25
            heard_now.time_base = Fraction(1, RATE)
            out.mux(sound.encode(heard_now))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    cut(source, tmp_path, (start, 15.5))
    dark = [at for at, number in shown(tmp_path / "0.mp4", number_of) if number < 15]
    begins, ends = loud(tmp_path / "0.mp4")
    assert dark[0] == pytest.approx(14 - start, abs=0.001)
    assert begins == pytest.approx(dark[0], abs=0.03)
    assert ends == pytest.approx(dark[-1], abs=0.03)


def test_sound_that_changes_its_channels_goes_on(still, tmp_path):
    """5.1 until 3 s, then stereo, as broadcasts do; the tone is heard before and after."""
    source, rate, seconds = tmp_path / "a.ts", 48_000, 6
    times = np.arange(seconds * rate) / rate
    tone = 0.8 * np.sin(2 * np.pi * 440 * times) * ((times % 2 >= 1) & (times % 2 < 1.5))
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt, video.gop_size = 64, 48, "yuv420p", 12
        sound = out.add_stream("ac3", rate=rate, layout="5.1")
        after = av.CodecContext.create("ac3", "w")
        after.sample_rate, after.layout, after.format = rate, "stereo", "fltp"
        after.time_base = Fraction(1, rate)
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(still(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        turn = 3 * rate // 1536 * 1536
        for start in range(0, len(tone), 1536):
            coder, layout, channels = (sound, "5.1", 6) if start < turn else (after, "stereo", 2)
            block = np.tile(tone[start : start + 1536].astype(np.float32), (channels, 1))
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for packet in coder.encode(frame):
                packet.stream = sound
                out.mux(packet)
    (clip,) = cut(source, tmp_path, (0.5, 5.75))
    assert clip.sound
    samples, rate, start = heard(tmp_path / "0.mp4")
    steps = [np.abs(part).max() > 0.2 for part in np.array_split(samples, len(samples) * 20 // rate)]
    turns = [i / 20 + start for i in range(1, len(steps)) if steps[i] != steps[i - 1]]
    assert turns == pytest.approx([0.5, 1.0, 2.5, 3.0, 4.5, 5.0], abs=0.08)


def test_a_hole_in_the_sound_is_silence_and_moves_nothing(still, tmp_path):
    source = with_tone(tmp_path / "a.mkv", (3.0, 3.5), still, hole=(1.0, 2.5))
    cut(source, tmp_path, (0.5, 4.5))
    begins, ends = loud(tmp_path / "0.mp4")
    assert begins == pytest.approx(2.5, abs=0.05)
    assert ends == pytest.approx(3.0, abs=0.05)


def test_later_pieces_have_their_own_sound(still, tmp_path):
    source = with_tone(tmp_path / "a.mp4", (4.0, 4.25), still)
    clips = cut(source, tmp_path, (0.5, 1.0), (3.5, 4.5))
    assert [clip.sound for clip in clips] == [True, True]
    assert loud(tmp_path / "1.mp4")[0] == pytest.approx(0.5, abs=0.04)
    assert np.abs(heard(tmp_path / "0.mp4")[0]).max() < 0.05


def test_a_turned_film_is_upright(film, still, tmp_path):
    source = film(tmp_path / "turned.mp4", [still(3)] * 4, turned=90)
    (clip,) = cut(source, tmp_path, (0, 0.3))
    assert (clip.width, clip.height) == (48, 64)
    from personsearch.media.video import Video

    with Video(source) as one, Video(tmp_path / "0.mp4") as other:
        before, after = next(one.frames()).pixels, next(other.frames()).pixels
    assert np.abs(before.astype(int) - after).mean() < 12


def test_odd_sizes_lose_a_line_at_most(film, still, tmp_path):
    source = film(tmp_path / "odd.avi", [still(1, (65, 49))] * 4, codec="ffv1")
    (clip,) = cut(source, tmp_path, (0, 0.1))
    assert (clip.width, clip.height) == (64, 48)


def test_a_piece_behind_the_end_is_an_error_and_leaves_no_file(film, tmp_path):
    source = film(tmp_path / "a.mp4", 5)
    with Cutter(source) as cutter:
        cutter.cut(Piece(start=0.2, end=0.3), tmp_path / "0.mp4")
    empty = film(tmp_path / "b.mp4", 5)
    empty.write_bytes(empty.read_bytes()[:600])
    with pytest.raises(InputError), Cutter(empty) as cutter:
        cutter.cut(Piece(start=0, end=1), tmp_path / "1.mp4")
    assert sorted(p.name for p in tmp_path.glob("*.mp4")) == ["0.mp4", "a.mp4", "b.mp4"]


def test_a_film_that_is_cut_off_gives_what_is_there(film, number_of, tmp_path):
    source = film(tmp_path / "a.mkv", 30, gop=5)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    (clip,) = cut(source, tmp_path, (0.5, 99))
    assert clip.end < 3
    assert shown(tmp_path / "0.mp4", number_of)[0] == (0.0, 5)


def test_joined_recordings_go_on_where_they_were(film, number_of, tmp_path):
    one = film(tmp_path / "1.ts", 10, codec="libx264", pts=[40 * n for n in range(10)])
    two = film(tmp_path / "2.ts", 20, codec="libx264", pts=[40 * n for n in range(20)])
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    from personsearch.media.video import Video

    with Video(both) as video:
        there = [(frame.position, number_of(frame.pixels)) for frame in video.frames()]
    start, end = there[12][0], there[15][0]
    cut(both, tmp_path, (start, end))
    assert [n for _, n in shown(tmp_path / "0.mp4", number_of)] == [n for _, n in there[12:16]]


@pytest.mark.parametrize("bad", [(-1, 2), (3, 2), (0, float("inf")), (float("nan"), 1)])
def test_no_piece(bad):
    with pytest.raises(ValueError, match="no piece"):
        Piece(start=bad[0], end=bad[1])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=8))
def test_merged_pieces_hold_the_same_moments(spans):
    pieces = [Piece(start=start, end=start + length) for start, length in spans]
    joined = merged(pieces)
    for moment in np.arange(0, 41, 0.5):
        inside = any(p.start <= moment <= p.end for p in pieces)
        assert inside == any(p.start <= moment <= p.end for p in joined)
    assert all(one.end < other.start for one, other in itertools.pairwise(joined))


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1, max_size=8),
    st.floats(0, 5),
    st.floats(0, 5),
)
def test_every_span_is_in_exactly_one_piece_with_what_is_around_it(spans, before, after):
    spans = [(first, first + length) for first, length in spans]
    found = pieces_around(spans, before, after)
    assert sorted(i for _, inside in found for i in inside) == list(range(len(spans)))
    for piece, inside in found:
        for i in inside:
            assert piece.start <= max(spans[i][0] - before, 0)
            assert piece.end >= spans[i][1] + after
