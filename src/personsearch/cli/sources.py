"""The options that say where pictures come from and which frames of videos are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from personsearch.errors import PartialFailure
    from personsearch.media.camera import Camera
    from personsearch.media.sampling import Sampling

SOURCES_HELP = "Folders, patterns ('photos/**/*.jpg'), lists (.txt), pictures, videos; or a camera."

SourcesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help=SOURCES_HELP, show_default=False)
]
EveryOption = Annotated[
    str | None,
    typer.Option(
        "--every", help="Of videos, a frame every 1s, 500ms, 2m ... [default: 1s]", show_default=False
    ),
]
FpsOption = Annotated[
    float | None, typer.Option("--fps", help="The same, as frames a second.", show_default=False)
]
KeyframesOption = Annotated[
    bool, typer.Option("--keyframes", help="Of videos, keyframes only: fastest, at uneven distances.")
]
SceneOption = Annotated[
    float | None,
    typer.Option(
        "--scene",
        help="Of videos, a frame whenever a part of the picture changed by so much (0.1 of 1).",
        show_default=False,
    ),
]
AllFramesOption = Annotated[bool, typer.Option("--all-frames", help="Of videos, every frame.")]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive/--no-recursive", help="Of folders, the folders inside, too.")
]
FollowOption = Annotated[
    bool, typer.Option("--follow-links", help="Of folders, also folders inside that are links.")
]
ForOption = Annotated[
    str | None,
    typer.Option(
        "--for", help="Of a camera, end after 10m, 1h ...; default: when interrupted.", show_default=False
    ),
]

CameraOption = Annotated[
    str | None,
    typer.Option("--camera", help="Name of the camera, instead of what files say.", show_default=False),
]


def chosen_sampling(
    every: str | None, fps: float | None, keyframes: bool, scene: float | None, all_frames: bool
) -> Sampling:
    """The one rule that was asked for; a frame a second if none was.

    Raises:
        UsageError: two rules, or a value that cannot be meant.
    """
    from personsearch.errors import UsageError
    from personsearch.media import sampling

    rules = []
    if every is not None:
        rules.append(sampling.every(every))
    if fps is not None:
        rules.append(sampling.rate(fps))
    if keyframes:
        rules.append(sampling.KEYFRAMES)
    if scene is not None:
        rules.append(sampling.scenes(scene))
    if all_frames:
        rules.append(sampling.ALL)
    if len(rules) > 1:
        raise UsageError(
            "one rule chooses the frames of a video, not several",
            hint="one of --every, --fps, --keyframes, --scene, --all-frames",
        )
    return rules[0] if rules else sampling.every("1s")


def seconds_of(text: str | None) -> float | None:
    """A length of time such as ``10m`` in seconds; None for none."""
    from personsearch.media.sampling import every

    return None if text is None else float(every(text).value)


def length_of(text: str) -> float:
    """A length of time in seconds that may also be none at all: ``3s`` is 3.0, ``0`` and ``0s`` are 0.0.

    Raises:
        UsageError: no length of time.
    """
    return 0.0 if text.strip() in ("0", "0s") else seconds_of(text) or 0.0


def only_camera(sources: list[str]) -> str | None:
    """The camera, if the sources are one; None if they are files.

    Raises:
        UsageError: a camera and something else.
    """
    from personsearch.errors import UsageError
    from personsearch.media.sources import is_camera

    cameras = [source for source in sources if is_camera(source)]
    if not cameras:
        return None
    if len(sources) > 1:
        raise UsageError(
            "a camera is watched alone", hint="one command a camera; each may write to a gallery in turn"
        )
    return cameras[0]


def name_for(address: str, given: str | None) -> str | None:
    """As :func:`personsearch.media.camera.name_for`, which is slow to import."""
    from personsearch.media import camera

    return camera.name_for(address, given)


def camera_step(every: str | None, fps: float | None, by_content: bool) -> float:
    """Seconds between two frames of a camera; ``by_content`` if another rule chooses frames.

    Raises:
        UsageError: there is such a rule; it needs frames that were not dropped.
    """
    from personsearch.errors import UsageError

    if by_content:
        raise UsageError("a camera is looked at in steps of time", hint="--every or --fps")
    return float(chosen_sampling(every, fps, False, None, False).value)


def only_of_cameras(lasting: str | None, frames: Path | None = None) -> None:
    """Refuse options that mean nothing for files.

    Raises:
        UsageError: one of them was given.
    """
    from personsearch.errors import UsageError

    given = [name for name, value in (("--frames", frames), ("--for", lasting)) if value is not None]
    if given:
        verb = "are" if len(given) > 1 else "is"
        raise UsageError(f"{' and '.join(given)} {verb} for cameras", hint="leave it out for files")


def incomplete(camera: Camera) -> PartialFailure:
    """The end of a command that missed something of a camera, and said what."""
    from personsearch.errors import PartialFailure

    return PartialFailure(
        f"not everything that camera {camera.name} saw was looked at",
        hint="the lines above say why; all else was",
    )
