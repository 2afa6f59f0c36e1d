"""``personsearch reproduce``, and the commands of its document on small files in the official formats."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from personsearch.datasets.convert import ConversionSettings, convert
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as data_preset

DOCUMENT = Path(__file__).parents[2] / "docs" / "reproduction.md"
CHEAP = ["table1", "fig1", "fig2", "fig3", "fig4"]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """CUHK-SYSU's and PRW's layouts, as our writers make them and every loader of the field reads them."""
    folder = tmp_path_factory.mktemp("official")
    # Enough people that any pair of methods can be trained, few enough for seconds.
    cuhk = make_dataset(folder / "CUHK-SYSU", data_preset("tiny"), workers=1)
    settings = ConversionSettings(target="prw", pictures="copy", allow="lossy")
    convert(open_dataset("cuhk-sysu", cuhk), folder / "PRW", settings)
    return {"CUHK-SYSU": cuhk, "PRW": folder / "PRW"}


def documented() -> list[list[str]]:
    """The words after ``personsearch`` of every such command in the document's shell blocks.

    But for the one that runs nothing; its test is below.
    """
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [
        shlex.split(line)[1:]
        for line in lines
        if line.startswith("personsearch reproduce ") and "--report-from" not in line
    ]


def here(words: list[str], roots: dict[str, Path], out: Path, *more: str) -> list[str]:
    """A documented command with the small data, a folder of the test, and the processor of this machine."""
    changed = [str(roots.get(word, word)) for word in words]
    for flag, value in (("--out", str(out)), ("--device", "cpu")):
        if flag in changed:
            changed[changed.index(flag) + 1] = value
    return [*changed, *more]


def tiny(words: list[str], items: list[str] | None = None) -> list[str]:
    """The same at the tests' size and, where told so, other items."""
    changed = ["tiny" if before == "--preset" else word for before, word in zip(["", *words], words)]  # noqa: B905
    if items is not None:
        first = next(i for i, word in enumerate(changed) if word.startswith("--"))
        changed = [changed[0], *items, *changed[first:]]
    return changed


def test_the_document_names_both_data_sets() -> None:
    found = documented()
    assert len(found) >= 4
    assert {word for words in found for word in words} >= {"CUHK-SYSU", "PRW", "paper", "small"}


@pytest.mark.parametrize("words", documented(), ids=lambda words: " ".join(words[1:6]))
def test_documented_commands_are_planned_as_they_stand(
    command, roots, tmp_path: Path, words: list[str]
) -> None:
    more = [] if "--dry-run" in words else ["--dry-run"]
    ended = command(*here(words, roots, tmp_path / "out", *more))
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert plan["schema"] == "personsearch.reproduction-plan/1"
    assert plan["stages"][0] == {
        "stage": "data",
        "what": "data",
        "done": False,
        "minutes": plan["stages"][0]["minutes"],
    }
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["CUHK-SYSU", "PRW"])
def test_documented_commands_run_on_official_files(command, roots, tmp_path: Path, name: str) -> None:
    """Without the trainings; those are in the long test below."""
    words = next(words for words in documented() if name in words)
    ended = command(*here(tiny(words, CHEAP), roots, tmp_path / "out", "--progress", "none"))
    assert ended.code == 0, ended.err
    text = (tmp_path / "out" / "report" / "reproduction.md").read_text()
    assert f"| {name.lower()} (here) | 20 |" in text
    assert json.loads(ended.out)["items"] == CHEAP
    if name == "PRW":
        assert "Not in these data: queries of the subsets occlusion, low-resolution." in text
    again = command(*here(tiny(words, CHEAP), roots, tmp_path / "out", "--dry-run"))
    assert all(stage["done"] for stage in json.loads(again.out)["stages"])


@pytest.mark.long
@pytest.mark.parametrize("name", ["CUHK-SYSU", "PRW"])
def test_documented_commands_run_whole_on_official_files(command, roots, tmp_path: Path, name: str) -> None:
    words = next(words for words in documented() if name in words and "all" in words)
    ended = command(*here(tiny(words), roots, tmp_path / "out", "--progress", "none", "--pretrained", "none"))
    assert ended.code == 0, ended.err
    text = (tmp_path / "out" / "report" / "reproduction.md").read_text()
    for heading in ("Table 2", "Figure 6", "Figure 7b", "Table 3"):
        assert f"## {heading}" in text
    if name == "PRW":
        assert "Not in these data: galleries of 50, 100, 500, 1,000, 2,000, 4,000." in text
        assert "| occlusion | ours | not in these data |" in text


def test_what_cannot_be_meant_is_refused(command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, line in (
        (["fig9"], "there is no table or figure 'fig9'"),
        (["all", "--seeds", "one"], "--seeds one is no list of seeds"),
        (["all", "--dataset", "prw"], "--root is missing: prw cannot be drawn"),
        (["sweep", "--preset", "small"], "preset small has no sweep"),
        (["table2", "--ablation-from", tmp_path / "none"], "is not a folder"),
    ):
        ended = command("reproduce", *words, "--out", out, "--dry-run")
        assert ended.code in (2, 4), ended.err
        assert line in ended.errors[0]
    assert not out.exists()


def test_a_plan_on_a_terminal_says_minutes(command, tmp_path: Path) -> None:
    ended = command("reproduce", "--out", tmp_path / "out", "--dry-run", "--format", "table")
    assert ended.code == 0, ended.err
    assert re.search(r"together about \d+ min on two cores", ended.out)
    assert "training our network" in ended.out


def test_a_report_from_raw_numbers(command, roots, tmp_path: Path) -> None:
    ended = command(
        "reproduce", "table1", "fig1", "--root", roots["CUHK-SYSU"], "--dataset", "cuhk-sysu",
        "--preset", "tiny", "--out", tmp_path / "out", "--progress", "none",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    report = tmp_path / "out" / "report"
    again = command("reproduce", "--report-from", report / "numbers.json", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert json.loads(again.out)["claims"] == json.loads(ended.out)["claims"]
    for file in ("reproduction.md", "reproduction.html", "numbers.json", "figures/fig1.jpg"):
        assert (tmp_path / "again" / file).read_bytes() == (report / file).read_bytes()
    (report / "numbers.json").write_text("{}")
    for more, line in (
        ([], "holds no numbers of a report"),
        (["--root", roots["PRW"]], "--report-from runs nothing, so --root means nothing"),
        (["--dry-run"], "so --dry-run means nothing"),
    ):
        ended = command(
            "reproduce", "--report-from", report / "numbers.json", "--out", tmp_path / "no", *more
        )
        assert ended.code in (2, 4), ended.err
        assert line in ended.errors[0]
        assert len(ended.errors) <= 2
    assert not (tmp_path / "no").exists()
