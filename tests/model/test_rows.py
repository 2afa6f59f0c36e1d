"""Row i of boxes, scores and embeddings is one person, through every filter.

The numbers that the paper published fell to exactly this: features that were filtered apart
from their boxes. Here every row's three columns are traced back to the one proposal they came
from, one row at a time, and a network with the published mistake is seen to fail.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import clip_boxes_to_image, nms

from personsearch.model.head import HeadOutput, HeadSettings, person_scores
from personsearch.model.network import DetectSettings, NetworkSettings, PersonSearchNetwork, Seen
from personsearch.model.presets import build_network
from personsearch.model.searcher import NetworkSearcher
from personsearch.model.trunks import MapLayout
from personsearch.types import Picture

SIZE = (100, 160)  # height, width of the first picture


class Nothing(nn.Module):
    """A trunk that sees nothing: what a proposal is, its coordinates say."""

    layout = {"trunk": MapLayout(1, 16)}  # noqa: RUF012
    levels, pooled_levels = ("trunk",), ()

    def forward(self, images):
        return {"trunk": torch.zeros(len(images), 1, 7, 10)}


class Given(nn.Module):
    """Proposals that were written down before."""

    def __init__(self, proposals) -> None:
        super().__init__()
        self.proposals = proposals

    def forward(self, images, sizes, maps, boxes=None, ignored=None):
        return self.proposals, {}


class Coordinates(nn.Module):
    """Pooling that gives a box's own coordinates."""

    def forward(self, maps, boxes):
        return torch.cat(boxes)


def score_of(box: torch.Tensor) -> torch.Tensor:
    """A score in [0, 1) that hardly another proposal has; exact, for corners of whole pixels."""
    return torch.frac(box @ (box.new_tensor([6063, 11961, 1803, 8683]) / 2**14)).abs()


def offsets_of(box: torch.Tensor) -> torch.Tensor:
    """Offsets of this proposal's own: sideways, down a little, narrower, taller."""
    shift = torch.frac(box @ (box.new_tensor([79, 43, 181, 33]) / 2**8)).abs()
    return torch.stack([10 * (shift - 0.3), 10 * 0.2 * shift, -5 * 0.3 * shift, 5 * 0.2 * shift], dim=-1)


class Telltale(nn.Module):
    """A head whose three answers each name the box they were asked about."""

    person = True  # a score layer of its own

    def forward(self, pooled, *, classify=True):
        return HeadOutput(pooled.clone(), offsets_of(pooled), None, torch.logit(score_of(pooled)))


def telltale(proposals, kind=PersonSearchNetwork, **changes) -> PersonSearchNetwork:
    config = NetworkSettings(head=HeadSettings(hidden=1), detect=DetectSettings(**changes))
    network = kind(Nothing(), 3, config)
    network.proposals, network.pooling, network.head = Given(proposals), Coordinates(), Telltale()
    return network.eval()


def refined(box: list[float], offsets: list[float], size: tuple[int, int]) -> list[float]:
    """What the box layer makes of one proposal: centre moved by tenths, sides by e to the fifths; clipped."""
    dx, dy, dw, dh = offsets
    wide, tall = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + wide / 2 + dx / 10 * wide, box[1] + tall / 2 + dy / 10 * tall
    wide, tall = wide * math.exp(dw / 5), tall * math.exp(dh / 5)
    corners = [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2]
    return [min(max(v, 0.0), size[1 - i % 2]) for i, v in enumerate(corners)]


def overlap(a: list[float], b: list[float]) -> float:
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, wide) * max(0.0, tall)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def slow_detect(proposals: torch.Tensor, size: tuple[int, int], rules: DetectSettings) -> list[tuple]:
    """(proposal, refined box, score) of everybody who stays, best first, one person at a time."""
    columns = (column.tolist() for column in (proposals, offsets_of(proposals), score_of(proposals)))
    people = [(p, refined(p, o, size), s) for p, o, s in zip(*columns, strict=True)]
    people = [
        (p, b, s) for p, b, s in people if s >= rules.min_score and b[2] - b[0] >= 1 and b[3] - b[1] >= 1
    ]
    kept: list[tuple] = []
    for person in sorted(people, key=lambda one: -one[2]):
        if all(overlap(person[1], other[1]) <= rules.nms for other in kept):
            kept.append(person)
    return kept[: rules.limit]


def check_rows(network: PersonSearchNetwork, proposals: list[torch.Tensor], sizes) -> None:
    """Every row of every picture, against the slow version and against its own proposal."""
    seen = network.detect(torch.zeros(len(sizes), 3, 112, 160), sizes)
    rules = network.settings.detect
    for one, given_, size in zip(seen, proposals, sizes, strict=True):
        wanted = slow_detect(given_, size, rules)
        assert len(one.boxes) == len(one.scores) == len(one.embeddings) == len(wanted)
        described = [best if rules.describe_refined else proposal for proposal, best, _ in wanted]
        columns = (*one, [best for _, best, _ in wanted], [score for *_, score in wanted], described)
        boxes, scores, embeddings, *slow = (np.asarray(column, np.float64) for column in columns)
        for ours, theirs in zip((boxes, scores, embeddings), slow, strict=True):
            np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=0, atol=1e-3)


def draw(seed: int, count: int, size: tuple[int, int]) -> torch.Tensor:
    """Proposals in heaps, so that thresholds, suppression and the limit all have work to do."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (max(1, count // 4), 2)) * size[::-1]
    middle = centres[rng.integers(len(centres), size=count)] + rng.normal(0, 6, (count, 2))
    half = rng.uniform(2, 30, (count, 2))
    boxes = torch.from_numpy(np.concatenate([middle - half, middle + half], axis=1)).round().float()
    _, first = np.unique(score_of(boxes).numpy(), return_index=True)
    return boxes[torch.from_numpy(rng.permutation(first))]  # equal scores have no order


PICTURES = [SIZE, (112, 90), (60, 160)]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.tuples(*[st.integers(0, 40)] * 3),
    st.booleans(),
    st.sampled_from([0.0, 0.05, 0.5, 0.95]),
    st.sampled_from([0.2, 0.4, 0.7]),
    st.sampled_from([1, 7, 100]),
)
def test_a_row_is_one_person_through_every_filter(seed, counts, again, min_score, nms_, limit) -> None:
    proposals = [draw(seed + i, n, s) for i, (n, s) in enumerate(zip(counts, PICTURES, strict=True))]
    network = telltale(proposals, describe_refined=again, min_score=min_score, nms=nms_, limit=limit)
    check_rows(network, proposals, PICTURES)


class FeaturesApart(PersonSearchNetwork):
    """The published mistake: boxes are filtered in two steps, features by the second step alone."""

    def _keep(self, seen: Seen, size: tuple[int, int]) -> Seen:
        rules = self.settings.detect
        boxes = clip_boxes_to_image(seen.boxes, size)
        sides = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
        inds = ((seen.scores >= rules.min_score) & (sides >= 1)).nonzero().squeeze(1)
        keep = nms(boxes[inds], seen.scores[inds], rules.nms)[: rules.limit]
        return Seen(boxes[inds][keep], seen.scores[inds][keep], seen.embeddings[keep])


class ScoresApart(PersonSearchNetwork):
    """Scores sorted by themselves."""

    def _keep(self, seen: Seen, size: tuple[int, int]) -> Seen:
        kept = super()._keep(seen, size)
        return kept._replace(scores=seen.scores.sort(descending=True).values[: len(kept.scores)])


class PicturesApart(PersonSearchNetwork):
    """The embeddings of a batch handed to the pictures in the wrong order."""

    def detect(self, images, sizes):
        seen = super().detect(images, sizes)
        columns = torch.cat([s.embeddings for s in seen[::-1]])
        parts = columns.split([len(s.embeddings) for s in seen])
        return [s._replace(embeddings=e) for s, e in zip(seen, parts, strict=True)]


@pytest.mark.parametrize("broken", [FeaturesApart, ScoresApart, PicturesApart])
def test_planted_mistakes_are_seen(broken) -> None:
    proposals = [draw(i, 30, size) for i, size in enumerate(PICTURES)]
    check_rows(telltale(proposals, min_score=0.3), proposals, PICTURES)
    with pytest.raises(AssertionError):
        check_rows(telltale(proposals, broken, min_score=0.3), proposals, PICTURES)


def searcher_with(tiny_searcher, **changes) -> NetworkSearcher:
    """The random network with a lively box layer and other rules of keeping people."""
    config = tiny_searcher.settings
    detect = dataclasses.replace(config.network.detect, **changes)
    config = dataclasses.replace(config, network=dataclasses.replace(config.network, detect=detect))
    network = build_network(config)
    network.load_state_dict(tiny_searcher.network.state_dict())
    torch.manual_seed(5)
    nn.init.normal_(network.head.box.weight, std=0.3)
    nn.init.normal_(network.head.person.weight, std=2.0)
    return NetworkSearcher(network, config, fingerprint="f", device="cpu")


def test_real_rows_described_at_their_refined_boxes(tiny_searcher, picture: Picture) -> None:
    """Each returned box described alone, as a query would be, gives the row's embedding."""
    searcher = searcher_with(tiny_searcher, describe_refined=True, min_score=0.3, nms=0.6, limit=20)
    seen = searcher.detect(picture)
    assert 5 < len(seen) <= 20
    assert (np.diff(seen.scores) <= 0).all()
    alone = np.concatenate([searcher.embed(picture, box) for box in seen.boxes])
    np.testing.assert_allclose(seen.embeddings, alone, rtol=1e-3, atol=1e-4)
    apart = np.linalg.norm(alone[:, None] - alone[None], axis=2) + np.eye(len(alone))
    assert apart.min() > 1e-2  # people differ enough for the comparison to mean something


def test_real_rows_described_at_their_proposals(tiny_searcher, picture: Picture) -> None:
    """One proposal at a time through pooling and head: its box, score and embedding stay together."""
    searcher = searcher_with(tiny_searcher, describe_refined=False, min_score=0.3, nms=0.6, limit=20)
    network = searcher.network
    images, sizes, _ = searcher._input(picture)
    with torch.inference_mode():
        (seen,) = network.detect(images, sizes)
        maps = network.trunk(images)
        (proposals,), _ = network.proposals(images, sizes, maps)
        singles = []
        for proposal in proposals:
            out = network.head(network.pooling(maps, [proposal[None]]))
            box = network.coder.decode(out.offsets, [proposal[None]])[:, 0]
            singles.append((clip_boxes_to_image(box, sizes[0])[0], person_scores(out)[0], out.embeddings[0]))
    boxes, scores, embeddings = (torch.stack(column) for column in zip(*singles, strict=True))
    assert len(seen.boxes) > 5
    for box, score, embedding in zip(*seen, strict=True):
        distance = (boxes - box).abs().sum(dim=1)
        source = int(distance.argmin())
        assert distance[source] < 1e-2
        assert abs(scores[source] - score) < 1e-4
        torch.testing.assert_close(embeddings[source], embedding, rtol=1e-3, atol=1e-4)


def test_the_papers_score_layer_keeps_its_rows_too(picture: Picture) -> None:
    """Without a score layer the score is one minus background of the same row's identities."""
    proposals = [draw(3, 30, SIZE)]
    network = telltale(proposals)

    class Identities(Telltale):
        person = None

        def forward(self, pooled, *, classify=True):
            out = super().forward(pooled, classify=classify)
            score = score_of(pooled)
            logits = torch.stack([score.log(), (1 - score).log()], dim=1) if classify else None
            return out._replace(identities=logits, person=None)

    network.head = Identities()
    check_rows(network, proposals, [SIZE])
