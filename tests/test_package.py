"""The built wheel: whole, installable beside nothing else, and it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from personsearch import __version__

ROOT = Path(__file__).parents[1]


def call(*words: object, cwd: Path) -> str:
    """Standard output of a command that must succeed, away from this checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, which borrows the dependencies of this one.

    A plain path in a .pth file gives it the libraries here, but not the checkout that is
    installed beside them: that one hangs on a .pth file of its own, which is not followed.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    python = folder / "bin" / "python"
    call(
        *(
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--no-deps",
            "--no-index",
            "--quiet",
            wheel,
        ),
        cwd=wheel.parent,
    )
    site = Path(
        call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = file.read(f"personsearch-{__version__}.dist-info/METADATA").decode()
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "personsearch").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert {name for name in names if not name.startswith("personsearch-")} == expected
    assert {
        "personsearch/py.typed",
        "personsearch/report/macros.html.j2",
        "personsearch/report/page.html.j2",
        "personsearch/report/page.css",
        "personsearch/report/review.css",
        "personsearch/report/review.js",
        "personsearch/report/ranklists.html.j2",
        "personsearch/report/ranklists.css",
    } <= expected
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "Requires-Python: >=3.11" in metadata
    for extra in ("heic", "dev"):
        assert f"Provides-Extra: {extra}" in metadata


def test_the_installed_command_runs(python: Path, tmp_path: Path) -> None:
    command = python.with_name("personsearch")
    assert call(command, "--version", cwd=tmp_path) == f"personsearch {__version__}\n"
    assert "index" in call(command, "--help", cwd=tmp_path)
    checks = json.loads(call(command, "doctor", "--json", "--device", "cpu", cwd=tmp_path))
    assert checks["ok"], checks
    assert call(python, "-m", "personsearch", "--version", cwd=tmp_path) == f"personsearch {__version__}\n"


USE = """
from pathlib import Path
import numpy as np
import personsearch
from personsearch.api import PersonSearch
from personsearch.report.html import search_page
from personsearch.report.ranklists import ranklist_page
from personsearch.types import Picture, Query, SearchResult
result = SearchResult(query=Query("q", [0, 0, 9, 9]), hits=(), gallery="g", model="m", similarity="cosine",
                      pictures=0, people=0)
page = search_page(result, Picture(np.zeros((9, 9, 3), np.uint8), "q"), lambda name: None)
for text in (page, ranklist_page([], lambda name: None)):
    assert text.startswith("<!doctype html"), text[:50]
print(Path(personsearch.__file__).parent)
"""


def test_the_installed_package_is_the_wheels_and_finds_its_own_files(python: Path, tmp_path: Path) -> None:
    where = Path(call(python, "-c", USE, cwd=tmp_path).strip())
    assert where.is_relative_to(python.parents[1])
    assert (where / "py.typed").exists()
