"""The report from hand-made results: every table and figure, the paper's numbers beside."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from personsearch.experiments.reproduction import figures, tables
from personsearch.experiments.reproduction.claims import decide
from personsearch.experiments.reproduction.page import HEADINGS, MOST_BYTES, numbers, report_blocks
from personsearch.experiments.reproduction.pipeline import ITEMS, Reproduction
from personsearch.experiments.reproduction.sizes import size_called
from personsearch.experiments.reproduction.workshop import Asked
from personsearch.report.document import Block, Heading, Image, Table, Text, as_html, as_markdown


def load(name: str) -> np.ndarray:
    picture = np.full((120, 160, 3), 180, np.uint8)
    picture[10:60, 10:30] = (30, 60, 200)
    return picture


@pytest.fixture(scope="module")
def network() -> dict[str, Any]:
    import dataclasses

    from personsearch.experiments.reproduction.anatomy import walk
    from personsearch.model.presets import compact_tiny

    return {
        "preset": "tiny",
        "picture": [160, 120],
        **walk(dataclasses.replace(compact_tiny(), identities=9), (160, 120)),
    }


@pytest.fixture(scope="module")
def made(fresh, network) -> Reproduction:
    asked = Asked(dataset="synthetic", root=None, size=size_called("medium"))
    everything = {**fresh(), "network": network}
    return Reproduction(
        asked=asked, items=tuple(ITEMS), results=everything, seconds=dict.fromkeys(everything, 61.0)
    )


@pytest.fixture(scope="module")
def blocks(made: Reproduction) -> list[Block]:
    return report_blocks(made, decide(made.results), load)


def test_every_item_has_its_heading_and_stands_in_the_papers_order(
    blocks: list[Block], made: Reproduction
) -> None:
    headings = [block.key for block in blocks if isinstance(block, Heading) and block.key]
    assert headings == list(ITEMS) == list(HEADINGS)


def test_figures_are_small_and_hold_something(blocks: list[Block], made: Reproduction) -> None:
    drawn = [block for block in blocks if isinstance(block, Image)]
    names = {block.name.partition(".")[0] for block in drawn}
    assert names == {
        "fig1", "fig2", "fig3", "fig4", "table2", "fig5", "fig6", "fig7a", "fig7b", "failures", "cost",
        "sweep",
    }  # fmt: skip
    for block in drawn:
        assert len(block.content) <= MOST_BYTES, block.name
        assert block.alt
        pixels = np.asarray(Pillow.open(io.BytesIO(block.content)))
        assert pixels.shape[1] <= 1100, block.name  # a phone shows it without shrinking letters away
        assert pixels.std() > 5, block.name


def test_the_papers_numbers_stand_beside(blocks: list[Block], made: Reproduction) -> None:
    text = as_markdown(blocks, "figures")
    assert "| ours | 63.0 (53.0 to 73.0) | 55.7 |" in text
    assert "| Deep+BoW | 50.0 (40.0 to 60.0) | 48.3 |" in text
    assert "| occlusion | ours | 12 | 40.0 (30.0 to 50.0) | 39.7 |" in text
    assert "| Market-1501 | 1,501 | 32,643 |" in text
    assert "| 4,000 | 41.7 (21.7 to 61.7) | – |" in text
    assert "about 40" in text
    assert "69.7 and 73.0" in text  # the evaluator that was repaired
    assert "(figures/fig5.png)" in text


def test_what_the_data_do_not_hold_is_named_and_not_drawn(blocks: list[Block], made: Reproduction) -> None:
    text = as_markdown(blocks)
    assert "Not in these data: galleries of 500, 1,000, 2,000." in text
    assert "| 500 | not in these data | – | not in these data | – |" in text
    assert "Not in these data: queries of the subsets occlusion." in text
    nothing = {**made.results["gallery"], "sizes": [], "methods": {}, "lacking": [50, 100]}
    assert figures.fig7b(nothing) is None
    subsets = {"subsets": {**made.results["subsets"]["subsets"], "low-resolution": None}}
    assert ("low-resolution", "ours", "not in these data") in [row[:3] for row in tables.table3(subsets).rows]


def test_recalls_that_are_not_reached_are_named(make) -> None:
    found = make.recall()
    found["pairs"] = {"deep+bow": {**found["pairs"]["deep+bow"], "0.9": None}}
    (row,) = tables.fig7a(found).rows
    assert row[-1] == "not reached"
    assert row[1].startswith("16.7 (")


def drawn(image: Image | None) -> np.ndarray:
    assert image is not None
    return np.asarray(Pillow.open(io.BytesIO(image.content)).convert("RGB"))


def test_figures_change_with_their_numbers(made: Reproduction, make) -> None:
    """A planted change is seen in each of them; drawn twice one is the same to the pixel."""
    results = made.results
    pairs = [
        (figures.fig5, results["detection"], make.detection((0.1, 0.0, 0.2))),
        (figures.fig6, results["ablation"], {**results["ablation"], "curves": {
            name: {**row, "mAP": [[0.1, 0.2], [0.1, 0.2]]}
            for name, row in results["ablation"]["curves"].items()}}),
        (figures.fig7a, results["recall"], make.recall((1, 4, 7, 10, 7, 2))),
        (figures.fig7b, results["gallery"], make.gallery(tops=(10, 9, 4))),
        (figures.fig_table2, results["table2"], make.table2(ours=0.3)),
        (figures.fig_cost, results["table2"], make.table2(ours=0.3)),
    ]  # fmt: skip
    np.testing.assert_array_equal(drawn(figures.fig5(pairs[0][1])), drawn(figures.fig5(pairs[0][1])))
    for draw, one, other in pairs:
        first, planted = drawn(draw(one)), drawn(draw(other))
        assert first.shape != planted.shape or (first != planted).any(), draw.__name__


def test_the_page_needs_no_other_file_and_runs_nothing(blocks: list[Block], made: Reproduction) -> None:
    page = as_html(blocks, "T <1>")
    assert "<title>T &lt;1&gt;</title>" in page
    assert not re.search(r"<script|<link|src=\"(?!data:)|href=", page)
    assert page.count("<img ") == page.count('src="data:image/')
    assert 'class="good"' in page
    assert "viewport" in page


def test_blocks_by_hand() -> None:
    blocks = [
        Heading(text="Head", level=2),
        Text(text="Say <b>:", points=("one", "two")),
        Table(columns=("a", "b"), rows=(("1|2", "holds"),), caption="C", marked={0: "good"}),
        Image(name="x.png", content=b"abc", alt="an x", caption="cap"),
    ]
    assert as_markdown(blocks, "f") == (
        "## Head\n\nSay <b>:\n\n- one\n- two\n\n**C**\n\n| a | b |\n| --- | --- |\n| 1\\|2 | holds |\n\n"
        "![an x](f/x.png)\n\n*cap*\n"
    )
    page = as_html(blocks, "t")
    assert "<p>Say &lt;b&gt;:</p>" in page
    assert '<td class="verdict">holds</td>' in page
    assert 'src="data:image/png;base64,YWJj"' in page
    with pytest.raises(ValueError, match="do not fit"):
        Table(columns=("a",), rows=(("1", "2"),))


def test_numbers_hold_everything_behind_the_report(made: Reproduction, tmp_path: Path) -> None:
    import json

    found = json.loads(json.dumps(numbers(made, decide(made.results))))
    assert [claim["verdict"] for claim in found["claims"]] == ["holds"] * 18
    assert found["results"]["table2"]["cells"]["deep+bow"]["record"]["ap_per_query"][0] == pytest.approx(0.52)
    assert all(evidence["n"] for claim in found["claims"] for evidence in claim["evidence"])


def test_only_what_was_asked_for_stands_there(made: Reproduction) -> None:
    few = Reproduction(
        asked=made.asked,
        items=("table1", "fig2"),
        results={name: made.results[name] for name in ("data", "statistics")},
        seconds={"data": 1.0, "statistics": 1.0},
    )
    text = as_markdown(report_blocks(few, decide(few.results), load))
    assert "## Figure 2" in text
    assert "## Table 2" not in text
    assert text.count("not asked for") == 18


def test_every_number_that_can_has_its_interval(blocks: list[Block]) -> None:
    text = as_markdown(blocks)
    assert (
        "| ACF | 60.0 (50.0 to 70.0) | 70.0 (60.0 to 80.0) | 90.0 (85.0 to 95.0) | 90.0 (80.0 to 95.0)"
        in text
    )
    assert "| ours, ms a picture | 10.0 (9.0 to 11.0) |" in text
    assert "| Deep+BoW | 50.0 (40.0 to 60.0) | 120.0 (80.0 to 160.0) |" in text
    assert "| 100 | 50.0 (40.0 to 60.0) | 50.0 (30.0 to 70.0) | 90.0 (88.0 to 92.0) |" in text
    assert "about 55 | 50.0 (40.0 to 60.0) | 90.0 (85.0 to 95.0) |" in text


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in names}


def report_of(made: Reproduction, **stages: dict[str, Any]) -> str:
    results = {**made.results, **stages}
    changed = Reproduction(asked=made.asked, items=made.items, results=results, seconds=made.seconds)
    return as_markdown(report_blocks(changed, decide(results), {}))


def test_results_without_what_newer_ones_hold_say_so(made: Reproduction) -> None:
    old = {name: without(row, "intervals") for name, row in made.results["detection"]["detectors"].items()}
    whole = report_of(made)
    text = report_of(
        made,
        detection={**made.results["detection"], "detectors": old},
        table2=without(made.results["table2"], "timing"),
        speed=without(made.results["speed"], "rounds"),
    )
    assert "from before intervals of AP" not in whole
    assert "These results are from before intervals of AP, recall and precision were drawn" in text
    assert "| ACF | 60.0 | 70.0 | 90.0 |" in text
    pair = made.results["table2"]["cells"]["deep+idnet"]
    ratio = (pair["detect_ms"] + pair["describe_ms"]) / 30
    assert text.count(f"by the first the ratio is {ratio:.1f}") == 3
    assert f"{ratio:.1f} times by table 2, which was timed in one look only" in text
    assert whole.count("quickest of 3 looks") == 3
    assert "by table 2" not in whole


def test_softmax_is_spoken_of_where_the_results_hold_it(made: Reproduction) -> None:
    sweep = made.results["sweep"]
    known = [row for row in sweep["rows"] if row["k"] is not None]
    whole, without = report_of(made), report_of(made, sweep={**sweep, "rows": known})
    assert ("| softmax (601 classes) |" in whole, "| softmax (601 classes) |" in without) == (True, False)
    assert ("K = C + 1 is the plain softmax." in whole, "which these results do not hold" in whole) == (
        True,
        False,
    )
    assert "K = C + 1 would be the plain softmax, which these results do not hold." in without


def test_what_of_a_given_ablation_was_not_checked_is_said(made: Reproduction) -> None:
    ablation = {**made.results["ablation"], "foreign": True}
    assert "made elsewhere and given.\n" in report_of(made, ablation=ablation)
    text = report_of(made, ablation={**ablation, "unchecked": "nothing was compared"})
    assert "made elsewhere and given (nothing was compared)." in text


def test_the_smoothing_is_said_and_the_log_itself_drawn(
    made: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = made.results["ablation"]
    first = figures.fig6(result)
    assert "running means over 5 lines of the log" in first.caption
    draw = figures.training_and_search
    monkeypatch.setattr(figures, "training_and_search", lambda *curves: draw(*curves[:3]))
    assert (drawn(first) != drawn(figures.fig6(result))).any()
