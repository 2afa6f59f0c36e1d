"""Exported files answer as the network at every size, say what they are, and are not left if they do not."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torchvision.ops import roi_align, roi_pool

import personsearch
from personsearch.errors import InputError, LockedError, UsageError
from personsearch.files import WriterLock, write_json
from personsearch.model import export as export_module
from personsearch.model.checkpoint import load_model, load_searcher, save_model
from personsearch.model.export import (
    UNCHECKED,
    ParityError,
    export_model,
    manifest_of,
    onnx_bytes,
)
from personsearch.model.export_folder import GALLERY, MANIFEST, QUERY, read_manifest
from personsearch.model.export_parity import Tolerances
from personsearch.model.head import NormScore
from personsearch.model.inputs import normalised, padded_batch
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.onnx_searcher import OnnxSearcher, execution_providers, open_exported
from personsearch.model.pooling import PoolSettings
from personsearch.model.presets import (
    ModelSettings,
    build_network,
    compact_tiny,
    detector,
    embedder,
    resnet50,
    seqnet,
    vgg16,
    with_pyramid,
)
from personsearch.model.searcher import NetworkSearcher
from personsearch.ranking.calibration import Calibration
from personsearch.types import Picture, Searcher

DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"
CURVE = Calibration(method="platt", pairs=10, prior=0.5, slope=2.0, intercept=-1.0)
# None of them is the traced one; the small ones are below what torch.export was told to assume.
SIZES = [(97, 301), (240, 321), (192, 192), (64, 64), (32, 64), (3, 40), (1, 1)]


def pixels_of(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 12 + 1, size[1] // 12 + 1, 3))
    return np.ascontiguousarray(coarse.astype(np.uint8).repeat(12, 0).repeat(12, 1)[: size[0], : size[1]])


PICTURES = [Picture(pixels_of(size), name=str(size)) for size in ((240, 321), (200, 90), (77, 130))]


def saved(folder: Path, settings: ModelSettings, calibration: Calibration | None = None) -> Path:
    """A model folder of random weights, loud enough that scores and boxes differ from place to place."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(settings)
        for name, module in network.named_modules():
            last = name.rsplit(".", 1)[-1]
            if (
                last in ("box", "person", "classify", "regress")
                and getattr(module, "weight", None) is not None
            ):
                module.weight.data.mul_(20)
        spread_scores(network, settings)
    save_model(folder, network, settings, calibration=calibration)
    return folder


@torch.no_grad()
def spread_scores(network: PersonSearchNetwork, settings: ModelSettings) -> None:
    """Logits of "a person" of mean 0 and deviation 2 on a picture, in each of a network's two heads.

    By random weights a mean of res5's cells scores 0.9999 and more in all places: 60 % of the first head's
    scores are the same float32, a quarter of the second's, and suppression would follow the last bit.
    """
    heads = [network.first, network.head] if network.settings.sequential else []
    batch, sizes = padded_batch([pixels_of((240, 320))], settings.input.multiple)
    images = normalised(batch, settings.input)
    for head in heads:  # the second sees what the first has kept
        logits: list[torch.Tensor] = []
        hook = head.person.register_forward_hook(lambda _, __, out, kept=logits: kept.append(out))
        network.eval().detect(images, sizes)
        hook.remove()
        deviation, mean = torch.std_mean(torch.cat(logits))
        if isinstance(head.person, NormScore):
            head.person.norm.running_mean.fill_(mean)  # by the first statistics a logit is the length
            head.person.norm.running_var.fill_((deviation / 2) ** 2)
        else:
            head.person.weight.mul_(2 / deviation)
            head.person.bias.sub_(mean).mul_(2 / deviation)


def tiny(**network) -> ModelSettings:
    base = dataclasses.replace(compact_tiny(), identities=5)
    return dataclasses.replace(base, network=dataclasses.replace(base.network, **network))


def once(root: Path, make: Callable[[Path], object]) -> Path:
    """``root``, made by the first of the processes of the suite that asks for it; the others wait."""
    root.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            lock = WriterLock(root / "lock")
            break
        except LockedError:
            time.sleep(0.1)
    try:
        if not (root / "made").exists():
            make(root)
            (root / "made").touch()
    finally:
        lock.release()
    return root


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """``model``, compact-tiny with random weights, and ``onnx``, its export: nobody may change them."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(root: Path) -> None:
        export_model(saved(root / "model", tiny(), CURVE), root / "onnx", PICTURES)

    return once(base / "exported-tiny", make)


@pytest.fixture
def copied(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared / "onnx", tmp_path / "copy"))


@pytest.fixture
def cheap(shared: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The exporter gives the files it gave before; a test may put others in their place."""
    files = {name: (shared / "onnx" / name).read_bytes() for name in (GALLERY, QUERY)}
    monkeypatch.setattr(export_module, "onnx_bytes", lambda model, name, manifest: files[name])
    return files


def eager_of(shared: Path) -> NetworkSearcher:
    model = load_model(shared / "model", "cpu")
    assert isinstance(model, NetworkSearcher)
    return model


def graph(path: Path | bytes) -> onnxruntime.InferenceSession:
    given = path if isinstance(path, bytes) else str(path)
    return onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])


@torch.no_grad()
def test_the_files_hold_at_every_size_with_and_without_people(shared: Path) -> None:
    eager, gallery = eager_of(shared), graph(shared / "onnx" / GALLERY)
    counts = []
    for size in SIZES:
        pixels = pixels_of(size, seed=7)
        batch, sizes = padded_batch([pixels], eager.settings.input.multiple)
        (seen,) = eager.network.detect(normalised(batch, eager.settings.input), sizes)
        found = gallery.run(None, {"picture": pixels})
        counts.append(len(seen.boxes))
        for a, b in zip(found, seen, strict=True):
            assert a.dtype == np.float32
            assert a.shape == tuple(b.shape)
            np.testing.assert_allclose(a, b.numpy(), atol=1e-3, rtol=1e-4)
    assert counts[0] > 20
    assert counts[-1] == 0


@torch.no_grad()
def test_scores_by_length_are_followed_however_many_people_there_are() -> None:
    """torch's batch norm asks whether there is anybody, and torch.export then refuses the whole network."""

    class Scored(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = NormScore()

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            kept: torch.Tensor = self.score(rows[rows[:, 0] > 0])
            return kept

    module = Scored().eval()
    module.score.norm.running_mean.fill_(2.0)
    module.score.norm.running_var.fill_(9.0)
    proto = export_module._proto(
        module, {"rows": torch.randn(6, 4)}, ["scores"], {"rows": {0: torch.export.Dim("people")}}, "scores"
    )
    session = graph(proto.SerializeToString())
    rows = torch.tensor([[3.0, 4, 0, 0], [-1, 0, 0, 0], [0.6, 0.8, 0, 0]])
    for given in (rows, rows[1:2], rows[:1]):
        (found,) = session.run(None, {"rows": given.numpy()})
        np.testing.assert_allclose(found, module(given).numpy(), atol=1e-6)
    np.testing.assert_allclose(found, [[1.0]], atol=1e-5)  # by hand: length 5, so (5 - 2) / 3


@pytest.mark.parametrize("people", [0, 1, 2, 70])
def test_the_query_pass_takes_any_number_of_boxes(shared: Path, people: int) -> None:
    eager, query = eager_of(shared), graph(shared / "onnx" / QUERY)
    pixels = pixels_of((192, 203))
    boxes = np.array([[i, i / 2, i + 30, i / 2 + 60] for i in range(people)], np.float32).reshape(-1, 4)
    (rows,) = query.run(None, {"picture": pixels, "boxes": boxes})
    assert rows.shape == (people, 16)
    batch, _ = padded_batch([pixels], eager.settings.input.multiple)
    wanted = eager.network.describe(normalised(batch, eager.settings.input), [torch.from_numpy(boxes)])
    np.testing.assert_allclose(rows, wanted.numpy(), atol=1e-5)


def test_an_export_is_a_searcher(shared: Path, picture: Picture) -> None:
    eager, exported = eager_of(shared), load_searcher(shared / "onnx")
    assert isinstance(exported, OnnxSearcher)
    assert isinstance(exported, Searcher)
    ours, theirs = eager.detect(picture), exported.detect(picture)
    assert len(ours) > 20
    np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1e-2)
    np.testing.assert_allclose(theirs.embeddings, ours.embeddings, atol=1e-4)
    boxes = np.array([[0, 0, 40, 90], [5.5, 3, 60, 200]], np.float32)
    np.testing.assert_allclose(exported.embed(picture, boxes), eager.embed(picture, boxes), atol=1e-5)
    assert exported.embed(picture, boxes[:0]).shape == (0, exported.dim)
    assert (exported.dim, exported.similarity, exported.calibration) == (16, "cosine", CURVE)
    assert exported.fingerprint != eager.fingerprint  # their embeddings differ in the last digits
    with pytest.raises(InputError, match="no area inside"):
        exported.embed(picture, np.array([[400, 0, 500, 50]]))


def test_the_files_say_what_they_are_and_nothing_of_where_they_were_made(shared: Path) -> None:
    source = load_model(shared / "model", "cpu").fingerprint
    for name in (GALLERY, QUERY):
        content = (shared / "onnx" / name).read_bytes()
        model = onnx.load_from_string(content)
        said = {prop.key: prop.value for prop in model.metadata_props}
        assert said["personsearch.source"] == source
        assert said["personsearch.pass"] == name.removesuffix(".onnx")
        assert said["personsearch.similarity"] == "cosine"
        assert json.loads(said["personsearch.resize"])["short_side"] == 192
        assert "uint8 RGB" in said["personsearch.input"]
        assert [entry.version for entry in model.opset_import if not entry.domain] == [18]
        assert not model.functions
        for word in (
            b"export_graph.py",
            b"site-packages",
            str(Path(personsearch.__file__).parent).encode(),
            str(shared).encode(),
        ):
            assert word not in content
    sides = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input
    ]
    assert sides == [["height", "width", 3], ["people", 4]]


def test_the_manifest_holds_the_check_and_the_rule(shared: Path) -> None:
    manifest = read_manifest(shared / "onnx")
    assert manifest.source == load_model(shared / "model", "cpu").fingerprint
    assert (manifest.resize.short_side, manifest.resize.long_side) == (192, 320)
    assert manifest.parity["people"] > 50
    assert manifest.parity["box"] < manifest.parity["allowed"]["box"] == 0.1
    assert sorted(p.name for p in (shared / "onnx").iterdir()) == [MANIFEST, GALLERY, QUERY]


def test_the_fingerprint_is_of_what_shapes_an_embedding() -> None:
    manifest = manifest_of_tiny()
    assert (
        dataclasses.replace(manifest, name="b", calibration=None, parity={"a": 1}).fingerprint
        == manifest.fingerprint
    )
    others = [
        dataclasses.replace(manifest, files={"gallery.onnx": "1", "query.onnx": "3"}),
        dataclasses.replace(manifest, similarity="euclidean"),
        dataclasses.replace(manifest, resize=dataclasses.replace(manifest.resize, short_side=191)),
    ]
    assert len({manifest.fingerprint, *(other.fingerprint for other in others)}) == 4


def manifest_of_tiny():
    network = build_network(tiny())
    model = NetworkSearcher(network, tiny(), fingerprint="f", name="a", calibration=CURVE, device="cpu")
    return dataclasses.replace(manifest_of(model), files={"gallery.onnx": "1", "query.onnx": "2"})


def normalise_twice(content: bytes) -> bytes:
    """The same graph with mean and deviation taken off a second time."""
    model = onnx.load_from_string(content)
    nodes, colours = (
        model.graph.node,
        [t.name for t in model.graph.initializer if list(t.dims) == [1, 3, 1, 1]],
    )
    (divide,) = (i for i, node in enumerate(nodes) if node.op_type == "Div" and node.input[1] in colours)
    (subtract,) = (node for node in nodes if node.output[0] == nodes[divide].input[0])
    assert subtract.op_type == "Sub"
    result, mean, deviation = nodes[divide].output[0], subtract.input[1], nodes[divide].input[1]
    for node in nodes:
        for i, name in enumerate(node.input):
            if name == result:
                node.input[i] = "twice"
    nodes.insert(divide + 1, onnx.helper.make_node("Sub", [result, mean], ["shifted"]))
    nodes.insert(divide + 2, onnx.helper.make_node("Div", ["shifted", deviation], ["twice"]))
    return model.SerializeToString()


@pytest.mark.parametrize("name", [GALLERY, QUERY])
def test_pixels_normalised_twice_leave_no_export(shared: Path, tmp_path: Path, cheap, name: str) -> None:
    cheap[name] = normalise_twice(cheap[name])
    onnx.checker.check_model(onnx.load_from_string(cheap[name]))
    out = tmp_path / "out"
    with pytest.raises(ParityError, match=r"the export is not the model: .*cosine") as caught:
        export_model(shared / "model", out, PICTURES)
    assert caught.value.exit_code == 1
    assert caught.value.parity.cosine < 0.9999
    assert list(out.iterdir()) == []


def test_a_failed_export_leaves_the_former_one(shared: Path, copied: Path, cheap) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    cheap[QUERY] = normalise_twice(cheap[QUERY])
    with pytest.raises(ParityError):
        export_model(shared / "model", copied, PICTURES)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_tolerances_are_kept(shared: Path, tmp_path: Path, cheap) -> None:
    with pytest.raises(ParityError, match="px off"):
        export_model(shared / "model", tmp_path / "out", PICTURES, tolerances=Tolerances(box=0.0))


def test_the_same_model_again_and_another_one(shared: Path, copied: Path, cheap, tmp_path: Path) -> None:
    (copied / f"{GALLERY}{UNCHECKED}").write_bytes(b"of a run that was killed")
    again = export_model(shared / "model", copied, PICTURES)
    assert again == read_manifest(shared / "onnx")
    assert sorted(p.name for p in copied.iterdir()) == [MANIFEST, GALLERY, QUERY]
    values = json.loads((copied / MANIFEST).read_text())
    write_json(copied / MANIFEST, {**values, "source": "another"})
    with pytest.raises(UsageError, match="the export of another model"):
        export_model(shared / "model", copied, PICTURES)
    assert export_model(shared / "model", copied, PICTURES, overwrite=True) == again


def test_other_folders_are_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"something else than an export: calibration\.json"):
        export_model(shared / "model", shared / "model", PICTURES)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        export_model(shared / "model", tmp_path / "file", PICTURES)
    with pytest.raises(InputError, match="cannot be checked"):
        export_model(shared / "model", tmp_path / "out", [])
    with pytest.raises(InputError, match="no model folder"):
        export_model(tmp_path / "nowhere", tmp_path / "out", PICTURES)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(shared: Path, tmp_path: Path, monkeypatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=f"needs the package {missing}$") as caught:
        export_model(shared / "model", tmp_path / "out", PICTURES)
    assert "personsearch[onnx]" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.pop("dim"), "dim: Field required"),
        (lambda values: values.update(format=9), "not of export format 1"),
        (lambda values: values.update(colour="rgb"), "colour is not a setting"),
        (lambda values: values.update(similarity="hamming"), "similarity: "),
        (lambda values: values["files"].pop("query.onnx"), "names the wrong files"),
        (lambda values: values["files"].update({"query.onnx": "0"}), "is not the file that was exported"),
    ],
)
def test_a_changed_manifest_is_refused(copied: Path, change, said: str) -> None:
    values = json.loads((copied / MANIFEST).read_text())
    change(values)
    write_json(copied / MANIFEST, values)
    with pytest.raises(InputError, match=re.escape(said)):
        open_exported(copied)


def test_damaged_files_are_refused(copied: Path) -> None:
    content = (copied / QUERY).read_bytes()
    (copied / QUERY).write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"query\.onnx is not the file that was exported"):
        load_searcher(copied)
    (copied / QUERY).unlink()
    with pytest.raises(InputError, match=r"query\.onnx is not the file that was exported"):
        load_searcher(copied)
    (copied / MANIFEST).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_searcher(copied)


def test_an_export_computes_in_float32_only(shared: Path) -> None:
    with pytest.raises(UsageError, match="computes in float32"):
        load_searcher(shared / "onnx", precision="bf16")


def test_devices() -> None:
    assert execution_providers("cpu") == ["CPUExecutionProvider"]
    for device in ("mps", "cuda:x"):
        with pytest.raises(InputError, match="is not to be had"):
            execution_providers(device)


class Pooled(torch.nn.Module):
    """RoI pooling alone."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, maps: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        if self.kind == "pool":
            return roi_pool(maps, rois, (3, 2), 0.25)
        return roi_align(maps, rois, (3, 2), 0.25, sampling_ratio=2, aligned=self.kind == "align")


@pytest.mark.parametrize("kind", ["pool", "align", "pyramid"])
def test_pooling_is_the_same_node_by_node(kind: str) -> None:
    module, rng = Pooled(kind), np.random.default_rng(1)

    def maps(height: int, width: int) -> np.ndarray:
        return rng.standard_normal((2, 3, height, width), dtype=np.float32)

    def rois(count: int) -> np.ndarray:
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(0.5, 40, (count, 2))], axis=1)
        return np.concatenate([np.arange(count)[:, None] % 2, boxes], axis=1).astype(np.float32)

    sides = {2: torch.export.Dim("rows", min=4), 3: torch.export.Dim("columns", min=4)}
    proto = export_module._proto(
        module,
        {"maps": torch.from_numpy(maps(9, 7)), "rois": torch.from_numpy(rois(3))},
        ["grid"],
        {"maps": sides, "rois": {0: torch.export.Dim("people")}},
        kind,
    )
    session = graph(proto.SerializeToString())
    for size, count in (((9, 7), 3), ((16, 21), 40), ((5, 30), 1), ((9, 9), 0)):
        given = {"maps": maps(*size), "rois": rois(count)}
        wanted = module(*(torch.from_numpy(value) for value in given.values())).numpy()
        (found,) = session.run(None, given)
        assert found.shape == (count, 3, 3, 2)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_torch_cannot_export_is_an_input_error(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = eager_of(shared)

    class Branching(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            if images.sum() > 0:
                return {"trunk": images}
            raise ValueError("dark")

    monkeypatch.setattr(eager.network, "trunk", Branching())
    with pytest.raises(InputError, match="model cannot be exported to ONNX: "):
        onnx_bytes(eager, QUERY, manifest_of(eager))


def test_the_documented_program_needs_no_torch_and_finds_the_same(shared: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    pixels = pixels_of((300, 211))
    np.save(tmp_path / "picture.npy", pixels)
    run = f"""
import sys
sys.modules["torch"] = None
import cv2, numpy as np
cv2.imread = lambda path: np.load("picture.npy")[:, :, ::-1]
{program}
np.savez("answer.npz", boxes=boxes, scores=scores, embeddings=embeddings, described=described)
"""
    (tmp_path / "model-onnx").symlink_to(shared / "onnx")
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, check=True, timeout=120)
    answer = np.load(tmp_path / "answer.npz")
    eager = eager_of(shared)
    seen = eager.detect(Picture(pixels))
    assert len(seen) > 20
    np.testing.assert_allclose(answer["boxes"], seen.boxes, atol=1e-2)
    np.testing.assert_allclose(answer["embeddings"], seen.embeddings, atol=1e-4)
    np.testing.assert_allclose(answer["described"], eager.embed(Picture(pixels), seen.boxes[:1]), atol=1e-4)


def scratch(base: ModelSettings) -> ModelSettings:
    """With norms that random weights can use, and small pictures."""
    options = (
        dataclasses.replace(base.trunk_options, norm="group") if base.trunk != "vgg16" else base.trunk_options
    )
    return dataclasses.replace(
        base,
        identities=9,
        trunk_options=options,
        input=dataclasses.replace(base.input, short_side=256, long_side=400),
    )


def few(base: ModelSettings) -> ModelSettings:
    """With 40 proposals a picture.

    Scores of 300 proposals by random weights are hardly further apart than those of two runtimes: in a
    picture or two, somewhere in three suppressions, two boxes that overlap change places.
    """
    proposals = dataclasses.replace(base.network.proposals, after_nms=(2000, 40))
    return dataclasses.replace(base, network=dataclasses.replace(base.network, proposals=proposals))


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [
        detector(tiny()),
        embedder(tiny()),
        tiny(pools=(PoolSettings(size=(3, 3)),)),
        tiny(sequential=True),
        scratch(dataclasses.replace(resnet50(), trunk="resnet18")),
        scratch(with_pyramid(dataclasses.replace(resnet50(), trunk="resnet18"), channels=32)),
        scratch(few(dataclasses.replace(seqnet(), trunk="resnet18"))),
        scratch(
            dataclasses.replace(
                vgg16(),
                network=dataclasses.replace(
                    vgg16().network, head=dataclasses.replace(vgg16().network.head, hidden=64)
                ),
            )
        ),
    ],
    ids=["detector", "embedder", "pooled", "sequential", "resnet18", "pyramid", "seqnet", "vgg16"],
)
def test_every_kind_of_network(tmp_path: Path, settings: ModelSettings) -> None:
    model = saved(tmp_path / "model", settings)
    manifest = export_model(model, tmp_path / "onnx", PICTURES)
    assert manifest == read_manifest(tmp_path / "onnx")
    exported = open_exported(tmp_path / "onnx")
    eager = load_model(model, "cpu")
    assert exported.dim == eager.dim
    if not isinstance(exported, OnnxSearcher):
        with pytest.raises(UsageError, match="cannot search alone"):
            load_searcher(tmp_path / "onnx")
