from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from personsearch.baselines.parts import CONFIG, WEIGHTS, read_part, save_part
from personsearch.errors import InputError

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array([1, 255], np.uint8)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fingerprint = save_part(tmp_path / "part", "bow", {"words": 3, "cell": [4, 5]}, ARRAYS)
    part = read_part(tmp_path / "part")
    assert (part.kind, part.settings, part.fingerprint) == (
        "bow",
        {"words": 3, "cell": [4, 5]},
        fingerprint,
    )
    assert part.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert part.arrays[name].dtype == array.dtype
        assert part.arrays[name].tolist() == array.tolist()
    text = (tmp_path / "part" / WEIGHTS).read_bytes() + (tmp_path / "part" / CONFIG).read_bytes()
    assert fingerprint == hashlib.sha256(text).hexdigest()
    assert json.loads((tmp_path / "part" / CONFIG).read_text())["format"] == 1


@given(
    arrays_of.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
@settings(max_examples=30, deadline=None)
def test_any_array_survives(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("part")
    save_part(folder, "x", {}, {"array": array})
    back = read_part(folder).arrays["array"]
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_the_fingerprint_follows_settings_and_arrays(tmp_path: Path) -> None:
    first = save_part(tmp_path / "1", "x", {"a": 1}, ARRAYS)
    assert save_part(tmp_path / "2", "x", {"a": 1}, ARRAYS) == first
    assert save_part(tmp_path / "2", "x", {"a": 2}, ARRAYS) != first
    assert save_part(tmp_path / "2", "x", {"a": 1}, {**ARRAYS, "b": np.array([1, 254], np.uint8)}) != first


def test_a_kill_before_the_configuration_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_part(tmp_path, "x", {"a": 1}, ARRAYS)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("personsearch.baselines.parts.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save_part(tmp_path, "x", {"a": 2}, {"a": ARRAYS["b"]})
    with pytest.raises(InputError, match="no finished part"):
        read_part(tmp_path)


def _damage(tmp_path: Path, file: str, content: bytes | None) -> Path:
    save_part(tmp_path, "x", {"a": 1}, ARRAYS)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (WEIGHTS, None, f"has no {WEIGHTS}"),
        (WEIGHTS, b"", "is damaged"),
        (WEIGHTS, b"\xff" * 64, "is damaged"),
        (WEIGHTS, b"\x02\0\0\0\0\0\0\0{}tail", "is damaged"),
        (CONFIG, None, "no finished part"),
        (CONFIG, b"{", "cannot be read"),
        (CONFIG, b"\xff\xfe", "cannot be read"),
        (CONFIG, b"[]", "is not a part's configuration"),
        (CONFIG, b"{}", "not of part format"),
        (CONFIG, b'{"format": 2, "kind": "x"}', "not of part format"),
        (CONFIG, b'{"format": 1}', "does not say its kind"),
    ],
)
def test_damage_is_told(tmp_path: Path, file: str, content: bytes | None, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        read_part(_damage(tmp_path, file, content))
    assert str(tmp_path) in str(told.value)
    assert told.value.hint


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        read_part(tmp_path / "none")


def test_reserved_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind"):
        save_part(tmp_path, "x", {"kind": "y"}, {})
