"""``personsearch evaluate``: everything it can be asked for, on the small copies of the reference results."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.cli.options import DatasetName
from personsearch.cli.output import plain
from personsearch.datasets.open import NAMES
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.evaluation.openset import score_open_set
from personsearch.evaluation.reliability import cross_fitted
from personsearch.evaluation.search_rules import SearchRules
from personsearch.features import Features, detected_queries, read_truth
from personsearch.ranking.calibration import Calibration

GOLDEN = Path(__file__).resolve().parents[1] / "evaluation" / "golden"
CUHK, QUIRKS, PRW, EASY = (
    GOLDEN / f"{name}.npz" for name in ("cuhk_a", "cuhk_quirks", "prw_quirks", "prw_ties")
)
NAMED = {
    "schema", "dataset", "protocol", "gallery_size", "cameras", "subset", "junk", "query_box", "ap_kind",
    "policy", "similarity", "rules", "queries", "mAP", "top1", "top5", "top10", "intervals",
    "without_positives", "without_detection", "ap_per_query", "first_hit_per_query", "recall_per_query",
    "model", "features",
}  # fmt: skip


@pytest.fixture
def score(command: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The JSON answer of one evaluation of a features file."""

    def call(file: Path, *words: object) -> dict[str, Any]:
        ended = command("evaluate", "--features", file, *words, "--json")
        assert ended.code == 0, ended.err
        (line,) = ended.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        assert answer["schema"] == "personsearch.evaluate/2"
        return answer

    return call


@pytest.fixture
def refused(command: Callable[..., Any]) -> Callable[..., str]:
    """The one line in which an evaluation is refused, with exit code 2."""

    def call(*words: object) -> str:
        ended = command("evaluate", *words)
        assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1), ended.err
        said: str = ended.errors[0]
        return said

    return call


def test_one_object_says_the_numbers_and_everything_that_shaped_them(score) -> None:
    answer = score(CUHK)
    assert answer.keys() == NAMED
    assert answer["mAP"] == pytest.approx(np.mean(answer["ap_per_query"]))
    assert answer["top1"] == pytest.approx(np.mean(np.array(answer["first_hit_per_query"]) == 1))
    said = (
        answer["dataset"],
        answer["gallery_size"],
        answer["query_box"],
        answer["ap_kind"],
        answer["policy"],
    )
    assert said == ("cuhk_a", 100, "annotated", "step", "official")
    assert score(PRW)["gallery_size"] == "full"
    full = score(CUHK, "--gallery-size", "full")
    assert (full["gallery_size"], full["protocol"]) == ("full", "cuhk_a gallery=full")


def test_the_table_has_the_names_beside_the_numbers(command, score) -> None:
    names = ["dataset", "protocol", "gallery", "query", "AP", "policy", "queries"]
    head, values, rules, _, _, columns, *rows = table_of(command, CUHK)
    assert head.split() == names
    assert values.split() == ["cuhk_a", "listed", "100", "annotated", "step", "official", "25"]
    assert "match IoU size-adaptive, repeated pictures twice" in rules
    assert columns.split() == ["measure", "value", "low", "high"]
    assert [row.split()[:2] for row in rows] == [
        [name, f"{score(CUHK)[name.replace('-', '')]:.3f}"] for name in ("mAP", "top-1", "top-5", "top-10")
    ]
    head, values, *_, columns, first, second = table_of(command, CUHK, "--all-sizes")
    assert head.split() == [name for name in names if name != "gallery"]
    assert values.split() == ["cuhk_a", "listed", "annotated", "step", "official", "25"]
    assert columns.split() == ["gallery", "mAP", "low", "high", "top-1", "top-5", "top-10"]
    assert [first.split()[0], second.split()[0]] == ["50", "100"]


def table_of(command: Callable[..., Any], file: Path, *words: object) -> list[str]:
    """The lines of an evaluation as a terminal shows them."""
    ended = command("evaluate", "--features", file, *words, "--format", "table")
    assert ended.code == 0, ended.err
    lines: list[str] = ended.out.splitlines()
    return lines


EVERYTHING = ("--failures", "--open-set", "--reliability")
PRW_AUTHORS = (
    "--junk", "prw", "--match-iou", "fixed", "--ap", "trapezoid", "--box-sides", "inclusive",
    "--junk-overlap", "0.3",
)  # fmt: skip


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (CUHK, ("--all-sizes", "--context-matching", "10,3", "--repeated", "first")),
        (CUHK, (*EVERYTHING, "--query-box", "detected")),
        (CUHK, ("--detection", "--coco", "--labelled-only", "--min-height", "50")),
        (PRW, (*PRW_AUTHORS, "--cameras", "other", "--failures", "--open-set")),
    ],
)
def test_no_table_is_wider_than_a_terminal(command, file: Path, words: tuple[str, ...]) -> None:
    lines = table_of(command, file, *words)
    assert [line for line in lines if len(line) > 80] == []
    assert "why a query has no right answer in first place" in lines or "--failures" not in words


@pytest.mark.parametrize(
    ("words", "rule", "value"),
    [
        (("--det-threshold", "0.2"), "det_threshold", 0.2),
        (("--match-iou", "fixed"), "match_iou", "fixed"),
        (("--repeated", "first"), "repeated", "first"),
        (("--policy", "clean"), "policy", "clean"),
        (("--ap", "trapezoid"), "ap", "trapezoid"),
        (("--box-sides", "inclusive"), "box_sides", "inclusive"),
        (("--junk-overlap", "0.3"), "junk_overlap", 0.3),
        (("--context-matching", "10,3"), "context", [10, 3]),
        (("--k-reciprocal", "20,6,0.3"), "k_reciprocal", {"k1": 20, "k2": 6, "top": 200, "weight": 0.3}),
    ],
)
def test_every_rule_reaches_the_scorer(score, words: tuple[str, ...], rule: str, value: Any) -> None:
    usual, changed = score(QUIRKS), score(QUIRKS, *words)
    assert changed["rules"][rule] == value
    assert usual["rules"][rule] != value
    differing = [a != b for a, b in zip(usual["ap_per_query"], changed["ap_per_query"], strict=True)]
    assert any(differing) or rule in ("match_iou", "box_sides", "junk_overlap")


def test_cameras_junk_and_the_first_queries(score) -> None:
    usual, other = score(PRW), score(PRW, "--cameras", "other")
    assert (other["cameras"], other["protocol"]) == ("other", "prw_quirks cameras=other")
    assert other["mAP"] != usual["mAP"]
    strict = score(PRW, "--junk", "prw")
    assert (strict["junk"], strict["protocol"]) == ("prw", "prw_quirks cameras=all junk=prw")
    few = score(PRW, "--limit-queries", "3")
    assert few["ap_per_query"] == usual["ap_per_query"][:3]
    assert few["queries"] == 3


def test_detection(score, command) -> None:
    answer = score(CUHK, "--detection", "--iou", "0.7", "--labelled-only", "--min-height", "50")
    assert answer["rules"]["labelled_only"] is True
    assert (answer["rules"]["iou"], answer["rules"]["min_height"]) == (0.7, 50)
    assert 0 < answer["ap"] < answer["recall"] < 1
    usual = score(CUHK, "--detection", "--det-threshold", "0")
    at = usual["precision_at_recall"]
    assert at == sorted(at, reverse=True)
    assert len(at) == 101
    assert all(0 <= recall <= usual["recall"] for recall in usual["recall_at_precision"].values())
    coco = score(CUHK, "--detection", "--coco")["coco"]
    assert 0 < coco["ap"] < coco["ap50"] < 1
    everything = {"det_threshold": None, "labelled_only": False, "min_height": 0}
    assert everything.items() <= coco["rules"].items()
    lines = table_of(command, CUHK, "--detection")
    assert lines[0].split()[:4] == ["dataset", "protocol", "people", "height"]
    shown = dict(line.split() for line in lines if line.startswith(("recall", "AP")))
    usual = score(CUHK, "--detection")
    assert shown == {"recall": f"{usual['recall']:.3f}", "AP": f"{usual['ap']:.3f}"}


def test_queries_by_detection_name_those_that_have_none(score, command) -> None:
    answer = score(CUHK, "--query-box", "detected")
    lost = answer["without_detection"]
    assert answer["query_box"] == "detected"
    assert lost
    assert all(answer["ap_per_query"][query] == 0 for query in lost)
    table = " ".join(table_of(command, CUHK, "--query-box", "detected"))
    assert f"{len(lost)} queries with no detection on the query's box, AP 0: {lost[0]}," in table


def test_against_another_run_query_by_query(score, tmp_path: Path) -> None:
    with np.load(CUHK) as file:
        arrays = dict(file)
    rng = np.random.default_rng(0)
    arrays["det_feat"] = arrays["det_feat"] + rng.normal(0, 0.2, arrays["det_feat"].shape).astype(np.float32)
    worse = tmp_path / "worse.npz"
    np.savez(worse, **arrays)
    answer = score(CUHK, "--compare", worse)
    measure = answer["comparison"]["measures"][0]
    assert measure["measure"] == "mAP"
    assert measure["a"] == answer["mAP"]
    assert measure["b"] == score(worse)["mAP"]
    saved = tmp_path / "scores.json"
    saved.write_text(json.dumps(score(worse)))
    again = score(CUHK, "--compare", saved)["comparison"]["measures"]
    assert again == answer["comparison"]["measures"]


def test_runs_of_other_rules_say_which(score, command, tmp_path: Path) -> None:
    saved = tmp_path / "scores.json"
    saved.write_text(json.dumps(score(CUHK, "--match-iou", "fixed")))
    said = table_of(command, CUHK, "--det-threshold", "0.2", "--compare", saved)
    assert "they differ in: det_threshold 0.2 / 0.5; match_iou size-adaptive / fixed" in said
    said = table_of(command, CUHK, "--match-iou", "fixed", "--compare", saved)
    assert not [line for line in said if "differ in" in line]


def test_detections_may_have_any_scores(score, command, tmp_path: Path) -> None:
    """A threshold on the scale of logits does what it does on that of probabilities."""
    with np.load(CUHK) as file:
        arrays = dict(file)
    moved = tmp_path / "moved.npz"
    np.savez(moved, **{**arrays, "det_score": arrays["det_score"] * 8 - 6})
    assert score(moved, "--det-threshold", "-2")["mAP"] == score(CUHK)["mAP"]
    for words in ((), ("--detection",)):
        said = " ".join(table_of(command, CUHK, "--det-threshold", "9", *words))
        assert "no detection has a score of 9 or more: scores are 0." in said
        said = " ".join(table_of(command, moved, "--det-threshold", "-3", *words))
        assert "no detection has" not in said


def test_more_queries_than_there_are(command) -> None:
    said = " ".join(table_of(command, CUHK, "--limit-queries", "99"))
    assert "--limit-queries 99, but there is no more than 25 queries" in said
    assert "--limit-queries" not in " ".join(table_of(command, CUHK, "--limit-queries", "25"))


SEARCH_WORDS = [
    ("--gallery-size", "50"), ("--cameras", "other"), ("--subset", "occlusion"), ("--limit-queries", "3"),
    ("--query-box", "detected"), ("--match-iou", "fixed"), ("--repeated", "first"), ("--policy", "clean"),
    ("--junk", "prw"), ("--junk-overlap", "0.3"), ("--box-sides", "inclusive"),
    ("--context-matching", "10,3"), ("--k-reciprocal", "20,6,0.3"), ("--all-sizes",),
]  # fmt: skip


@pytest.mark.parametrize("words", SEARCH_WORDS, ids=lambda words: words[0])
def test_what_shapes_only_searches_is_refused_with_detection(refused, words: tuple[str, ...]) -> None:
    said = refused("--features", CUHK, "--detection", *words)
    assert f"{words[0]} is about searches, not about --detection" in said


def test_detection_reads_average_precision_as_it_is_told(score) -> None:
    answer = score(CUHK, "--detection", "--ap", "trapezoid")
    assert answer["rules"]["ap"] == "trapezoid"
    assert answer["ap"] != score(CUHK, "--detection")["ap"]


def test_failures_and_the_page_of_rankings(score, command, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    answer = score(CUHK, "--failures", "--report", page)
    reasons = answer["failures"]["reason_per_query"]
    found = [rank == 1 for rank in answer["first_hit_per_query"]]
    assert [reason == "found" for reason in reasons] == found
    text = page.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html")
    assert "Rank lists: cuhk_a, gallery 100" in text
    assert text.count("<figcaption>") == text.count("<figcaption><b>Looked for") + 1  # and the failures
    lines = table_of(command, CUHK, "--failures", "--report", page)
    (all_queries,) = (line.split() for line in lines if line.startswith("all "))
    counts = [reasons.count(name) for name in WHY]
    assert all_queries[1:7] == [str(len(reasons)), *map(str, counts)]
    assert "it has no pictures to show" in " ".join(lines)


WHY = ("found", "ranked low", "below threshold", "box too loose", "not detected")


def test_open_set_and_reliability_are_in_the_table_the_json_and_the_page(score, command, tmp_path) -> None:
    page = tmp_path / "page.html"
    answer = score(CUHK, "--open-set", "--reliability", "--report", page)
    usual = score(CUHK)
    assert {key: answer[key] for key in usual} == usual
    assert answer.keys() - usual.keys() == {"open_set", "reliability"}
    found = answer["open_set"]
    features, source = Features.load(CUHK), read_truth(CUHK)
    assert source is not None
    trials, rules = source.trials(100), SearchRules()
    direct = score_open_set(trials, features, rules, np.random.default_rng(0))
    assert found == plain(direct.to_json())
    assert found["closed"] == answer["top1"]
    assert [point["resolved"] for point in found["points"]] == [False, False, True]
    judged = cross_fitted(trials, features, rules, np.random.default_rng(0))
    assert answer["reliability"] == plain(judged.to_json())
    assert answer["reliability"]["source"] == "cross-fitted"
    text = page.read_text(encoding="utf-8")
    assert "25 searches with the person in the gallery and 25 without" in text
    assert "25 first answers; probabilities cross-fitted" in text
    assert "are not a model&#39;s own" in text
    lines = table_of(command, CUHK, "--open-set", "--reliability")
    (tenth,) = (line.split() for line in lines if line.lstrip().startswith("10%"))
    point = found["points"][2]
    assert tenth == ["10%", *(f"{point['rate'][end]:.3f}" for end in ("mean", "low", "high")),
                     f"{point['threshold']:.3f}", str(point["alarms"])]  # fmt: skip
    said = " ".join(" ".join(lines).split())
    assert "0.1%, 1% cannot be told from 25 searches: one false alarm is 4% of them" in said
    assert "probabilities cross-fitted: learnt on one half of the people" in said
    assert f"calibration error (ECE) {answer['reliability']['ece']['mean']:.3f} (" in said


def test_queries_without_a_detection_name_nobody_and_have_no_probability(score) -> None:
    answer = score(CUHK, "--query-box", "detected", "--open-set", "--reliability")
    lost = len(answer["without_detection"])
    assert lost > 0
    found = answer["open_set"]
    assert (found["mated"], found["nonmated"], found["closed"]) == (25, 25, answer["top1"])
    assert found["curve"]["dir"][-1] <= answer["top1"]
    assert answer["reliability"]["queries"] == 25 - lost


def test_queries_without_a_detection_raise_no_alarm(score, tmp_path: Path) -> None:
    with np.load(CUHK) as file:
        arrays = dict(file)
    # By distance the zero that stands for nobody is nearer to everybody than people are to each other.
    arrays["meta"] = np.array(json.dumps({"name": "far", "similarity": "euclidean"}))
    np.savez(tmp_path / "far.npz", **arrays)
    answer = score(tmp_path / "far.npz", "--query-box", "detected", "--open-set")
    source = read_truth(tmp_path / "far.npz")
    assert source is not None
    features = detected_queries(Features.load(tmp_path / "far.npz"), 0.5)[0]
    direct = score_open_set(source.trials(100), features, SearchRules(), np.random.default_rng(0))
    others = np.delete(direct.nonmated_similarity, answer["without_detection"])
    point = answer["open_set"]["points"][2]  # two of 25 may alarm: the third is one too many
    assert point["threshold"] == pytest.approx(np.sort(others)[-3])
    assert direct.nonmated_similarity[answer["without_detection"]].min() > np.sort(others)[-3]


@pytest.mark.parametrize(("words", "why"), [(("--limit-queries", 1), "1 identities"), ((), "0 of two")])
def test_what_cannot_be_judged_is_one_line(command, tmp_path: Path, words: Any, why: str) -> None:
    ended = command("evaluate", "--features", EASY, "--reliability", *words, "--report", tmp_path / "p.html")
    assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1)
    assert "--reliability cannot be told from these searches" in ended.errors[0]
    assert why in ended.errors[0]
    assert "drop --reliability" in ended.err
    assert not (tmp_path / "p.html").exists()


def test_open_set_without_anybody_present_says_so(command, tmp_path: Path) -> None:
    with np.load(CUHK) as file:
        arrays = dict(file)
    arrays["gal100_ngt"][:], arrays["gal100_gtbox"] = 0, np.zeros((0, 4), np.float32)
    np.savez(tmp_path / "absent.npz", **arrays)
    said = " ".join(table_of(command, tmp_path / "absent.npz", "--open-set", "--report", tmp_path / "p.html"))
    assert "nobody who is looked for is in the gallery" in said
    assert "Open-set search" not in (tmp_path / "p.html").read_text()


def test_figures_and_a_file_that_can_be_scored_by_itself(score, tmp_path: Path) -> None:
    own = tmp_path / "own.npz"
    usual = score(PRW, "--out", tmp_path / "out", "--features-out", own)
    (figures,) = (tmp_path / "out").iterdir()
    assert figures.name == "scores-prw_quirks-gallery-full-detected-unknown.json"
    assert json.loads(figures.read_text())["mAP"] == usual["mAP"]
    again = score(own)
    assert {**again, "features": ""} == {**usual, "features": ""}
    for words in (
        ("--policy", "clean"),
        ("--limit-queries", 2),
        ("--detection",),
        ("--detection", "--iou", 0.6),
    ):
        score(PRW, "--out", tmp_path / "out", *words)
    assert len(list((tmp_path / "out").iterdir())) == 5  # nothing is written over by something else


def test_a_model_on_a_data_set_and_its_features_by_themselves(command, searcher, tmp_path: Path) -> None:
    searcher.calibration = Calibration(method="platt", pairs=4, prior=0.5)
    settings = SyntheticSettings(
        train_identities=0, train_scenes=0, test_identities=5, test_scenes=8, size=(160, 120), bystanders=0.5,
        gallery_sizes=(6, 7), smallest=18, occluded_share=0.4,
    )  # fmt: skip
    root = make_dataset(tmp_path / "data", settings, workers=1)
    own, out = tmp_path / "own.npz", tmp_path / "out"
    data = ("--dataset", "synthetic", "--root", root)
    base = ("evaluate", "--model", "m", *data, "--out", out, "--progress", "none", "--json")

    def answer(*words: object) -> dict[str, Any]:
        ended = command(*words)
        assert ended.code == 0, ended.err
        found: dict[str, Any] = json.loads(ended.out)
        return found

    made = answer(*base, "--gallery-size", "6", "--features-out", own)
    assert made["detection"].keys() >= {"recall", "ap"}
    assert (made["model"], made["dataset"]) == ("rectangles-1", "synthetic")
    (file,) = out.glob("features-*.npz")
    assert made["features"] == str(file)
    for words in (
        ("--gallery-size", "6"),
        ("--gallery-size", "7"),
        ("--gallery-size", "full"),
        ("--all-sizes",),
    ):
        by_itself = answer("evaluate", "--features", own, *words, "--json")
        with_data = answer("evaluate", "--features", file, *data, *words, "--json")
        assert {**by_itself, "features": ""} == {**with_data, "features": ""}
    judged = answer(*base, "--gallery-size", "full", "--reliability")["reliability"]
    assert judged["source"] == "given"  # the searcher's own, which says 0.5 to everything
    assert [(one["n"], one["probability"]) for one in judged["bins"]] == [(judged["answers"], 0.5)]
    assert judged["ece"]["mean"] == pytest.approx(abs(judged["share"] - 0.5))
    for word in ("recall", "ap", "truths"):
        own_detection = answer("evaluate", "--features", own, "--detection", "--json")
        assert own_detection[word] == made["detection"][word]


def test_what_cannot_be_meant_is_refused_in_one_line(refused, tmp_path: Path) -> None:
    bare = tmp_path / "bare.npz"
    with np.load(CUHK) as file:
        np.savez(bare, **{name: file[name] for name in file.files if not name.startswith("gt_")})
    features = ("--features", CUHK)
    assert "either --features or --model" in refused()
    assert "either --features or --model" in refused(*features, "--model", "m")
    assert "--root is missing" in refused("--model", "m")
    assert "--root is missing" in refused(*features, "--dataset", "prw")
    assert "holds no annotation" in refused("--features", bare)
    assert "lists no gallery of 70" in refused(*features, "--gallery-size", "70")
    assert "--gallery-size many is no gallery" in refused(*features, "--gallery-size", "many")
    assert "listed, not made by camera" in refused(*features, "--cameras", "other")
    assert "lists no gallery of 50" in refused("--features", PRW, "--gallery-size", "50")
    assert "lists no galleries" in refused("--features", PRW, "--all-sizes")
    assert "--iou needs --detection" in refused(*features, "--iou", "0.7")
    assert "not about --detection" in refused(*features, "--detection", "--failures")
    assert "already says which" in refused(*features, "--all-sizes", "--gallery-size", "50")
    for word in (*EVERYTHING, "--compare", "--report"):
        told = (word, tmp_path / "x.html") if word in ("--compare", "--report") else (word,)
        assert f"{word} is about one gallery size" in refused(*features, "--all-sizes", *told)
        assert f"{word} is about searches" in refused(*features, "--detection", *told)
    assert "--context-matching 10 is not understood" in refused(*features, "--context-matching", "10")
    assert "--k-reciprocal a,b,c" in refused(*features, "--k-reciprocal", "a,b,c")
    assert "--context-matching 0,3" in refused(*features, "--context-matching", "0,3")
    assert "exclude" in refused(*features, "--context-matching", "10,3", "--k-reciprocal", "20,6,0.3")
    assert "--boxes needs --model" in refused(*features, "--boxes", "annotated")
    assert "is a folder" in refused(*features, "--report", tmp_path)
    assert "does not list the searches" in refused(*features, "--subset", "occlusion")
    assert "--det-threshold nan" in refused(*features, "--det-threshold", "nan")
    assert "--det-threshold inf" in refused(*features, "--det-threshold", "inf")
    assert "--iou 1.5" in refused(*features, "--detection", "--iou", "1.5")
    assert "the weight must be a number from 0 to 1" in refused(*features, "--k-reciprocal", "20,6,7")
    assert "needs --dataset beside --features" in refused(*features, "--root", tmp_path)
    assert "other searches" in refused(*features, "--compare", scores_of(tmp_path, "another protocol"))


def scores_of(folder: Path, protocol: str) -> Path:
    path = folder / "other.json"
    scores = {"protocol": protocol, "ap_per_query": [0.5] * 25, "first_hit_per_query": [1] * 25}
    path.write_text(json.dumps(scores))
    return path


def test_a_file_without_people_around_the_queries_scores_but_not_in_context(command, tmp_path: Path) -> None:
    bare = tmp_path / "bare.npz"
    with np.load(CUHK) as file:
        np.savez(bare, **{name: file[name] for name in file.files if not name.startswith("qdet_")})
    assert command("evaluate", "--features", bare).code == 0
    ended = command("evaluate", "--features", bare, "--context-matching", "10,3")
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)
    assert "qdet_" in ended.err


def test_a_damaged_file_is_one_line_and_exit_code_4(command, tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    shutil.copy(CUHK, broken)
    broken.write_bytes(broken.read_bytes()[:5000])
    for file in (broken, tmp_path / "none.npz"):
        ended = command("evaluate", "--features", file)
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1)
        assert str(file) in ended.errors[0]


def test_the_script_in_the_documentation_writes_a_file_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    (script,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    features = Features.load(tmp_path / "method.npz")
    assert (features.scenes, features.dim, len(features.q_feat)) == (("s1.jpg", "s2.jpg"), 256, 1)
    assert len(features.detections("s2.jpg")) == 3


def test_the_layouts_on_offer_are_those_that_can_be_read() -> None:
    assert {str(name) for name in DatasetName} == set(NAMES)
