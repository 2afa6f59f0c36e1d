"""What the paper's section 5 claims, decided by the numbers of one data set (:mod:`.evidence` says how)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from personsearch.experiments.reproduction.evidence import (
    LEAST,
    Decision,
    Evidence,
    Verdict,
    apart,
    paired,
    points,
    share_left,
    turned,
    verdict_of,
)
from personsearch.experiments.reproduction.paper import BEST_RECALL, CLAIMS, JOINT_GAIN, SPEED_RATIO, Said
from personsearch.experiments.reproduction.reasons import table2_ratio
from personsearch.experiments.reproduction.workshop import OURS
from personsearch.ranking.bootstrap import Interval

Results = Mapping[str, Mapping[str, Any]]
METHODS = ("euclidean", "kissme", "bow", "idnet")
FACTOR = 1.5
"""About 40 times: between 40 / 1.5 and 40 * 1.5."""
ABOUT_HALF = (0.4, 0.625)
"""About half, by a factor of 1.25."""
ABOUT_POINTS = (JOINT_GAIN / 200, JOINT_GAIN / 50)
"""About 3 points, by a factor of 2, as a share."""
HIGH = 0.5
"""A loss stays high while more than this share of where it began is left."""


def decide(results: Results) -> tuple[Decision, ...]:
    """Every claim, in the paper's order; one whose stages were not asked for cannot be told."""
    return tuple(_DECIDERS[said.key](said, results) for said in CLAIMS)


def _told(said: Said, evidence: Sequence[Evidence], before: str = "") -> Decision:
    numbers = before + "; ".join(points(one) for one in evidence)
    return Decision(said=said, verdict=verdict_of(evidence), numbers=numbers, evidence=tuple(evidence))


def _untold(said: Said, why: str = "not asked for") -> Decision:
    return Decision(said=said, verdict="cannot be told", numbers=why)


def _cells(results: Results) -> Mapping[str, Any] | None:
    """Records of table 2 by name of the pair, ours among them."""
    table = results.get("table2")
    if table is None:
        return None
    return {**{pair: cell["record"] for pair, cell in table["cells"].items()}, OURS: table[OURS]["record"]}


def _deep_detects(said: Said, results: Results) -> Decision:
    found = results.get("detection")
    if found is None:
        return _untold(said)
    gain = found["difference"]
    interval = Interval(mean=gain["mean"], low=gain["low"], high=gain["high"], level=0.95)
    shown = ", ".join(f"{name} {100 * row['ap']:.1f}" for name, row in found["detectors"].items())
    evidence = Evidence(what="AP, deep over acf,", interval=interval, n=gain["n"])
    return _told(said, [evidence], f"AP {shown}; ")


def _detector(said: Said, results: Results) -> Decision:
    """Whichever detector has the higher AP here: that is the claim, not the name."""
    cells, found = _cells(results), results.get("detection")
    if cells is None or found is None:
        return _untold(said)
    ap = {name: row["ap"] for name, row in found["detectors"].items()}
    gain = found["difference"]
    if gain["n"] < LEAST or gain["low"] <= 0 <= gain["high"]:
        return _untold(said, f"neither detector is the better one here: AP {ap}")
    better, worse = sorted(ap, key=lambda name: -ap[name])
    return _told(
        said,
        [
            paired(f"{better} over {worse} with {m}", cells[f"{better}+{m}"], cells[f"{worse}+{m}"])
            for m in METHODS
        ],
        f"{better} detects better; mAP: ",
    )


def _truth(said: Said, results: Results) -> Decision:
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    pairs = [(detector, method) for method in METHODS for detector in ("deep", "acf")]
    return _told(
        said,
        [paired(f"gt over {d} with {m}", cells[f"gt+{m}"], cells[f"{d}+{m}"]) for d, m in pairs],
        "mAP: ",
    )


def _order(said: Said, results: Results) -> Decision:
    """Pair by pair: the same method ahead with every detector.

    It does not hold where a pair is one way round for sure with one detector and the other way round
    with another; it holds where every pair is the same way round, for sure, with all of them.
    """
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    orders = {
        d: " > ".join(sorted(METHODS, key=lambda m: -cells[f"{d}+{m}"]["mAP"]["mean"]))
        for d in ("acf", "deep", "gt")
    }
    verdicts: list[Verdict] = []
    evidence = []
    for a, b in combinations(METHODS, 2):
        with_each = [paired(f"{a} over {b} on {d}", cells[f"{d}+{a}"], cells[f"{d}+{b}"]) for d in orders]
        evidence += with_each
        either_way = (verdict_of(with_each), verdict_of([turned(one) for one in with_each]))
        if "holds" in either_way:
            verdicts.append("holds")
        elif either_way == ("does not hold", "does not hold"):
            verdicts.append("does not hold")
        else:
            verdicts.append("cannot be told")
    verdict: Verdict = "holds" if set(verdicts) == {"holds"} else "cannot be told"
    if "does not hold" in verdicts:
        verdict = "does not hold"
    shown = "; ".join(f"{d}: {order}" for d, order in orders.items())
    sure = sum(one == "holds" for one in verdicts)
    turned_round = sum(one == "does not hold" for one in verdicts)
    numbers = (
        f"by mAP, {shown}. Of {len(verdicts)} pairs {sure} are the same way round with all three for sure, "
        f"{turned_round} turn round for sure (n = {evidence[0].n:,})"
    )
    return Decision(said=said, verdict=verdict, numbers=numbers, evidence=tuple(evidence))


def _best(said: Said, results: Results) -> Decision:
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    others = [f"{d}+{m}" for d in ("deep", "acf") for m in METHODS]
    return _told(said, [paired(f"over {one}", cells[OURS], cells[one]) for one in others], "mAP: ")


def _truth_idnet(said: Said, results: Results) -> Decision:
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    return _told(said, [paired("gt+idnet over ours", cells["gt+idnet"], cells[OURS])], "mAP: ")


def _joint(said: Said, results: Results) -> Decision:
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    measures = (("mAP", "mAP,"), ("top-1", "top-1,"))
    evidence = [
        paired(f"{name} ours over deep+idnet", cells[OURS], cells["deep+idnet"], m) for m, name in measures
    ]
    return _told(said, evidence)


def _joint_points(said: Said, results: Results) -> Decision:
    """About 3 points, by a factor of two: the whole interval lies within 1.5 and 6."""
    cells = _cells(results)
    if cells is None:
        return _untold(said)
    one = paired("mAP, ours over deep+idnet", cells[OURS], cells["deep+idnet"])
    low, high = ABOUT_POINTS
    inside = low <= one.interval.low and one.interval.high <= high
    outside = one.interval.high < low or one.interval.low > high
    verdict: Verdict = "cannot be told"
    if one.n >= LEAST and (inside or outside):
        verdict = "holds" if inside else "does not hold"
    return Decision(said=said, verdict=verdict, numbers=points(one), evidence=(one,))


def _speed(said: Said, results: Results) -> Decision:
    found = results.get("speed")
    if found is None:
        return _untold(said)
    low, high = SPEED_RATIO / FACTOR, SPEED_RATIO * FACTOR
    inside = low <= found["low"] and found["high"] <= high
    outside = found["high"] < low or found["low"] > high
    verdict: Verdict = "cannot be told"
    if found["n"] >= LEAST and (inside or outside):
        verdict = "holds" if inside else "does not hold"
    numbers = (
        f"{found['ratio']:.1f} times ({found['low']:.1f} to {found['high']:.1f}, n = {found['n']} pictures "
        f"with {found['people_a_picture']:.1f} people found in each): {found['pair_ms']:.0f} against "
        f"{found['joint_ms']:.0f} ms a picture on {found['device']}"
    )
    other = results.get("table2")
    if other is not None and "timing" not in other:
        numbers += f"; {table2_ratio(other):.1f} times by table 2, which was timed in one look only"
    return Decision(said=said, verdict=verdict, numbers=numbers)


def _initial_loss(said: Said, results: Results) -> Decision:
    """It stays high where no seed's loss comes down by half; it does not where each one's does."""
    found = results.get("ablation", {}).get("initial_loss")
    if found is None:
        return _untold(said, "not asked for" if "ablation" not in results else "one of the two was not run")
    left = [end / first for first, end in zip(found["first"], found["without"], strict=True)]
    high = sum(share > HIGH for share in left)
    verdict: Verdict = "holds" if high == len(left) else "does not hold" if not high else "cannot be told"
    first, without, started = (sum(found[key]) / len(left) for key in ("first", "without", "with"))
    above = sum(a > b for a, b in zip(found["without"], found["with"], strict=True))
    numbers = (
        f"without it the identity loss falls from {first:.2f} to {without:.2f} over the last half of stage 2 "
        f"({100 * min(left):.0f} to {100 * max(left):.0f} % are left); with it, {started:.2f}; higher "
        f"without in {above} of n = {len(left)} seeds"
    )
    return Decision(said=said, verdict=verdict, numbers=numbers)


def _ablation_pair(better: str, worse: str) -> Callable[[Said, Results], Decision]:
    def decided(said: Said, results: Results) -> Decision:
        if "ablation" not in results:
            return _untold(said)
        found = results["ablation"]["summary"]
        for pair in found["pairs"]:
            if (pair["a"], pair["b"]) == (better, worse):
                interval = Interval(**pair["mAP"], level=0.95)
                seeds = len(pair["seeds"])
                what = f"mAP, {pair['a_title']} over {pair['b_title']} ({seeds} seed{'s' * (seeds != 1)})"
                return _told(said, [Evidence(what=what, interval=interval, n=found["queries"])])
        return _untold(said, "one of the two was not run")

    return decided


def _recall(said: Said, results: Results) -> Decision:
    """70 % is ahead of the smallest and of the largest recall for sure, and behind none for sure."""
    found = results.get("recall")
    if found is None:
        return _untold(said)
    verdicts, shown, evidence, lacking = [], [], [], set()
    for pair, rows in found["pairs"].items():
        held = {float(key): row["record"] for key, row in rows.items() if row is not None}
        lacking |= {float(key) for key, row in rows.items() if row is None}
        if BEST_RECALL not in held or len(held) < 2:
            verdicts.append("cannot be told")
            continue
        tops = {key: record["top1"]["mean"] for key, record in held.items()}
        shown.append(f"{pair} at {100 * max(tops, key=lambda key: tops[key]):.0f} %")
        against = {
            key: paired(f"{pair}: 70 % over {100 * key:.0f} %", held[BEST_RECALL], record, "top-1")
            for key, record in held.items()
            if key != BEST_RECALL
        }
        evidence += list(against.values())
        ends = [against[key] for key in (min(held), max(held)) if key in against]
        behind = any(verdict_of([one]) == "does not hold" for one in against.values())
        ahead = verdict_of(ends) == "holds" and max(held) > BEST_RECALL
        verdicts.append("does not hold" if behind else "holds" if ahead else "cannot be told")
    verdict: Verdict = "holds" if set(verdicts) == {"holds"} else "cannot be told"
    if "does not hold" in verdicts:
        verdict = "does not hold"
    numbers = "highest top-1: " + ", ".join(shown) if shown else "no baseline reaches a recall of 70 %"
    if lacking:
        numbers += (
            f"; not reached by every detector: {', '.join(f'{100 * key:.0f} %' for key in sorted(lacking))}"
        )
    if evidence:
        numbers += f" (n = {evidence[0].n:,})"
    return Decision(said=said, verdict=verdict, numbers=numbers, evidence=tuple(evidence))


def _gallery(said: Said, results: Results) -> Decision:
    found = results.get("gallery")
    if found is None:
        return _untold(said)
    sizes = found["sizes"]
    if len(sizes) < 2:
        return _untold(said, "the data hold no two gallery sizes")
    first, last = str(sizes[0]), str(sizes[-1])
    evidence = [
        paired(f"{method}, {first} over {last} pictures", rows[first], rows[last], "top-1")
        for method, rows in found["methods"].items()
    ]
    return _told(said, evidence, "top-1: ")


def _gallery_half(said: Said, results: Results) -> Decision:
    """The share that is left of top-1, its interval over queries: about a half."""
    found = results.get("gallery")
    if found is None:
        return _untold(said)
    sizes, methods = found["sizes"], found["methods"]
    if len(sizes) < 2:
        return _untold(said, "the data hold no two gallery sizes")
    first, last = sizes[0], sizes[-1]
    told = {m: share_left(rows[str(first)], rows[str(last)]) for m, rows in methods.items()}
    shares, n = {m: share for m, (share, _) in told.items()}, min(count for _, count in told.values())
    shown = "; ".join(f"{m}: {_left(share)}" for m, share in shares.items())
    numbers = f"from {first:,} to {last:,} pictures, {shown} (n = {n:,})"
    if (first, last) != (50, 4000):
        return _untold(said, f"the data do not hold 50 and 4,000; {numbers}")
    low, high = ABOUT_HALF
    inside = all(low <= s.low and s.high <= high for s in shares.values())
    outside = any(s.high < low or s.low > high for s in shares.values())
    verdict: Verdict = "cannot be told"
    if n >= LEAST and (inside or outside):
        verdict = "holds" if inside else "does not hold"
    return Decision(said=said, verdict=verdict, numbers=numbers)


def _left(share: Interval) -> str:
    if share.mean != share.mean:
        return "nothing was right to begin with"
    return f"{100 * share.mean:.0f} % are left ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _subset(results: Results, name: str, methods: Sequence[str] | None = None) -> list[Evidence] | str:
    """Whole minus subset by method, or why there is none."""
    found = results.get("subsets")
    if found is None:
        return "not asked for"
    rows, whole = found["subsets"].get(name), found["subsets"]["whole"]
    if rows is None:
        return f"the data hold no {name} subset"
    return [
        apart(f"{m}, all over {name},", whole[m], rows[m]) for m in rows if methods is None or m in methods
    ]


def _occlusion(said: Said, results: Results) -> Decision:
    found = _subset(results, "occlusion")
    return _untold(said, found) if isinstance(found, str) else _told(said, found, "mAP: ")


def _small_ours(said: Said, results: Results) -> Decision:
    found = _subset(results, "low-resolution", (OURS,))
    return _untold(said, found) if isinstance(found, str) else _told(said, found, "mAP: ")


def _small_others(said: Said, results: Results) -> Decision:
    """Its opposite is that one of them loses for sure; it holds where none can lose 3 points."""
    found = _subset(results, "low-resolution", ("deep+kissme", "acf+bow"))
    if isinstance(found, str):
        return _untold(said, found)
    verdict: Verdict = "cannot be told"
    if any(verdict_of([one]) == "holds" for one in found):
        verdict = "does not hold"
    elif all(one.n >= LEAST and one.interval.high < JOINT_GAIN / 100 for one in found):
        verdict = "holds"
    numbers = "mAP: " + "; ".join(points(one) for one in found)
    return Decision(said=said, verdict=verdict, numbers=numbers, evidence=tuple(found))


_DECIDERS: Mapping[str, Callable[[Said, Results], Decision]] = {
    "deep-detects": _deep_detects,
    "detector": _detector,
    "truth": _truth,
    "order": _order,
    "best": _best,
    "truth-idnet": _truth_idnet,
    "joint": _joint,
    "joint-points": _joint_points,
    "speed": _speed,
    "initial-loss": _initial_loss,
    "initial": _ablation_pair("softmax", "softmax-unstarted"),
    "rss": _ablation_pair("rss", "softmax"),
    "recall": _recall,
    "gallery": _gallery,
    "gallery-half": _gallery_half,
    "occlusion": _occlusion,
    "small-ours": _small_ours,
    "small-others": _small_others,
}
