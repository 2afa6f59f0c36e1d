"""``personsearch doctor``: what this installation can do, to read and to paste into a report."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from personsearch import __version__
from personsearch.cli.options import DeviceOption, FormatOption, JsonOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import PersonSearchError

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "lancedb",
    "pyarrow",
    "pillow",
    "opencv-python-headless",
    "accelerate",
    "safetensors",
    "matplotlib",
    "jinja2",
    "rich",
    "typer",
)
EXTRAS = {
    "heic": "pillow-heif",
    "video": "av",
    "onnx": "onnxruntime",
    "timm": "timm",
    "tensorboard": "tensorboard",
}


def doctor(
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this installation: versions, device, decoding, writing.

    Nothing is sent or downloaded. Ends with 1 when something that is needed does not work.

    \b
    Examples:
      personsearch doctor
      personsearch doctor --json
    """
    printer = Printer(chosen(form, as_json))
    checks = [
        *_versions(),
        _check("device", lambda: _device_works(device)),
        _check("detector operations", lambda: _operations_work(device)),
        _check("decode a picture", _decoding_works),
        _check("write a file", _writing_works),
        _check("write a gallery", _gallery_works),
        *_extras(),
        *_video(),
        _row("network", "ok", "offline: nothing is downloaded or sent unless you ask for it"),
    ]
    failed = [check["check"] for check in checks if check["state"] == "failed"]
    record = {"schema": "personsearch.doctor/1", "ok": not failed, "checks": checks}
    printer(Answer(record=record, rows=checks))
    if failed:
        raise PersonSearchError(
            f"does not work: {', '.join(failed)}",
            hint="the table says why; for a device try --device cpu, else install personsearch again",
        )


def _row(check: str, state: str, detail: str) -> dict[str, Any]:
    return {"check": check, "state": state, "detail": detail}


def _check(name: str, work: Callable[[], str]) -> dict[str, Any]:
    """The outcome of one check; whatever it raises is its finding, not an error of this command."""
    try:
        return _row(name, "ok", work())
    except PersonSearchError as error:  # its message stands for itself
        return _row(name, "failed", str(error))
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return _row(name, "failed", f"{type(error).__name__}: {first}")


def _versions() -> list[dict[str, Any]]:
    """Versions of ourselves, of Python and of what the base installation needs."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"
    rows = [
        _row("personsearch", "ok", __version__),
        _row("python", "ok" if sys.version_info >= (3, 11) else "failed", platform.python_version()),
        _row("system", "ok", system),
    ]
    for package in PACKAGES:
        try:
            rows.append(_row(package, "ok", metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append(_row(package, "failed", "not installed"))
    return rows


def _extras() -> list[dict[str, Any]]:
    """What is installed beyond the base; missing extras are no failure."""
    rows = []
    for extra, package in EXTRAS.items():
        try:
            rows.append(_row(f"extra {extra}", "ok", f"{package} {metadata.version(package)}"))
        except metadata.PackageNotFoundError:
            rows.append(_row(f"extra {extra}", "absent", f"pip install 'personsearch[{extra}]'"))
    return rows


def _video() -> list[dict[str, Any]]:
    """Whether videos can be read, where their reader is installed."""
    try:
        metadata.version(EXTRAS["video"])
    except metadata.PackageNotFoundError:
        return []
    return [_check("read a video", _video_works)]


def _video_works() -> str:
    """Two frames go into a video and come back, each at its time."""
    import numpy as np

    from personsearch.media.container import pyav
    from personsearch.media.video import Video

    av = pyav()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
            for number in range(2):
                frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 100 * number, np.uint8))
                frame.pts = 5 * number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with Video(path) as video:
            seen = [(round(frame.position, 3), frame.pixels.shape) for frame in video.frames()]
    if seen != [(0.0, (16, 32, 3)), (0.2, (16, 32, 3))]:
        raise ArithmeticError(f"a video does not come back as it was: {seen}")
    return f"FFmpeg {getattr(av, 'ffmpeg_version_info', 'of PyAV')}, two frames there and back"


def _device_works(device: str) -> str:
    """The device that would be used, after a small product on it."""
    import torch

    from personsearch.model.searcher import choose_device

    picked = choose_device(device)
    ones = torch.ones(8, 8, device=picked)
    if float((ones @ ones).sum()) != 512:
        raise ArithmeticError(f"8 x 8 product on {picked} is wrong")
    return f"{picked}, {torch.get_num_threads()} threads, CUDA {torch.version.cuda or 'not built in'}"


def _operations_work(device: str) -> str:
    """The compiled operations of torchvision that the network stands on."""
    import torch
    from torchvision.ops import nms, roi_align

    from personsearch.model.searcher import choose_device

    where = choose_device(device)
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4.1], [8, 8, 12, 12]], device=where)
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=where), 0.5)
    pooled = roi_align(torch.ones(1, 1, 16, 16, device=where), [boxes], output_size=2)
    if kept.tolist() != [0, 2] or not bool((pooled == 1).all()):
        raise ArithmeticError("nms or roi_align give wrong answers")
    return "nms and roi_align"


def _decoding_works() -> str:
    """A picture goes to JPEG and comes back."""
    import numpy as np

    from personsearch.images import decode, encode_jpeg

    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 200
    picture = decode(encode_jpeg(red), "doctor.jpg")
    if picture.size != (24, 16) or abs(int(picture.pixels[8, 8, 0]) - 200) > 8:
        raise ArithmeticError("a picture does not come back as it was")
    return "JPEG there and back"


def _writing_works() -> str:
    """An atomic write into a temporary folder."""
    from personsearch.files import write_text

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.txt"
        write_text(path, "written")
        if path.read_text() != "written":
            raise OSError(f"{path} does not hold what was written")
        return f"temporary folder {Path(folder).parent}"


def _gallery_works() -> str:
    """An empty gallery is created and opened again."""
    from personsearch.gallery.gallery import Gallery

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery"
        with Gallery.create(path, fingerprint="doctor", dim=4, similarity="cosine"):
            pass
        with Gallery.open(path) as gallery:
            return f"created and opened, {gallery.people} people"
