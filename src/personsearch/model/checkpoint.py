"""The model folder: ``model.safetensors``, ``config.json``, ``calibration.json``, ``card.md``.

Its fingerprint is the SHA-256 over the first two. Nothing in it is a pickle.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from personsearch.errors import InputError, UsageError
from personsearch.files import sha256_of, write_bytes, write_json, write_text
from personsearch.model.export_folder import is_export
from personsearch.model.folding import fold_norms
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.onnx_searcher import OnnxSearcher, load_onnx_searcher
from personsearch.model.presets import ModelSettings, build_network
from personsearch.model.searcher import KINDS, NetworkModel, NetworkSearcher, Precision
from personsearch.ranking.calibration import Calibration

FORMAT = 1
WEIGHTS, CONFIG, CALIBRATION, CARD = "model.safetensors", "config.json", "calibration.json", "card.md"


def save_model(
    folder: Path,
    network: PersonSearchNetwork,
    settings: ModelSettings,
    *,
    calibration: Calibration | None = None,
    card: str = "",
) -> str:
    """Write a model folder, each file whole or not at all, and return its fingerprint.

    The configuration comes last, so that a folder without one is an unfinished model.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(state))
    if calibration is not None:
        write_json(folder / CALIBRATION, calibration.to_json())
    write_text(folder / CARD, card)
    write_json(folder / CONFIG, {"format": FORMAT, **settings.to_json()})
    return fingerprint_of(folder)


def fingerprint_of(folder: Path) -> str:
    """Hex digest of the folder's weights and configuration."""
    return sha256_of(folder / WEIGHTS, folder / CONFIG)


def read_settings(folder: Path) -> ModelSettings:
    """The settings in ``folder/config.json``; an unknown or misspelt field is an error."""
    path = folder / CONFIG
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as a model's configuration", hint="give a model folder"
        ) from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise InputError(
            f"{path} is not of model format {FORMAT}", hint="use a matching version of personsearch"
        )
    try:
        settings = TypeAdapter(ModelSettings).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: {where}: {first['msg']}", hint="the configuration was changed by hand?"
        ) from error
    unknown = _unknown(values, settings.to_json())
    if unknown:
        raise InputError(f"{path}: {unknown} is not a setting", hint="the configuration was changed by hand?")
    # Settings are always written whole: a default in a missing one's place would be a guess.
    missing = _unknown(settings.to_json(), values)
    if missing:
        raise InputError(
            f"{path}: {missing} is missing", hint="use the version of personsearch that wrote it"
        )
    return settings


def _unknown(given: dict[str, Any], known: dict[str, Any], prefix: str = "") -> str:
    """The first key of ``given`` that ``known`` does not have, dotted; empty when there is none."""
    for key, value in given.items():
        if key not in known:
            return prefix + key
        inner = ""
        if isinstance(value, dict) and isinstance(known[key], dict):
            inner = _unknown(value, known[key], f"{prefix}{key}.")
        elif isinstance(value, list):
            pairs = enumerate(zip(value, known[key], strict=True))
            parts = (_unknown(a, b, f"{prefix}{key}.{i}.") for i, (a, b) in pairs if isinstance(a, dict))
            inner = next(filter(None, parts), "")
        if inner:
            return inner
    return ""


def load_network(folder: Path) -> tuple[PersonSearchNetwork, ModelSettings]:
    """The network of a model folder with its weights, which must fit to the letter."""
    if not folder.is_dir():
        raise InputError(f"there is no model folder at {folder}", hint="train one: personsearch train --help")
    settings = read_settings(folder)
    try:
        network = build_network(settings)
    except (KeyError, ValueError, RuntimeError, UsageError) as error:
        raise InputError(
            f"{folder / CONFIG} describes no network: {error}", hint="the configuration was changed by hand?"
        ) from error
    try:
        state = load_file(folder / WEIGHTS)
        network.load_state_dict(state, strict=True)
    except OSError as error:
        raise InputError(f"{folder} has no {WEIGHTS}", hint="give a finished model folder") from error
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / WEIGHTS} does not fit its configuration: {reason}") from error
    return network, settings


def load_searcher(
    path: Path | str, device: str = "auto", *, precision: Precision = "fp32"
) -> NetworkSearcher | OnnxSearcher:
    """The searcher of the model folder (or finished run folder, or exported folder) at ``path``.

    Raises:
        InputError: there is none, or it is damaged.
        UsageError: the model in it is a detector or an embedder alone, or an export is asked for
            another precision than its own.
    """
    if is_export(Path(path)):
        if precision != "fp32":
            raise UsageError(
                f"{path} is an export, which computes in float32",
                hint="drop the precision, or give the model",
            )
        return load_onnx_searcher(path, device)
    model = load_model(path, device, precision=precision)
    if not isinstance(model, NetworkSearcher):
        raise UsageError(
            f"{path} holds a network of parts {model.parts!r}, which cannot search alone",
            hint="pair a detector with an embedder, or choose a joint model",
        )
    return model


def load_model(path: Path | str, device: str = "auto", *, precision: Precision = "fp32") -> NetworkModel:
    """The searcher, detector or embedder of the model folder at ``path``, by what its settings say.

    Its norms are folded into its layers: the same answers up to rounding, sooner.
    """
    folder = Path(path)
    network, settings = load_network(folder)
    calibration = None
    if (folder / CALIBRATION).exists():
        try:
            calibration = Calibration.from_json(
                json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
            )
        except (OSError, ValueError, InputError) as error:
            raise InputError(
                f"{folder / CALIBRATION} is not a calibration",
                hint="take it from the folder of the same model",
            ) from error
    return KINDS[settings.network.parts](
        fold_norms(network),
        settings,
        fingerprint=fingerprint_of(folder),
        name=folder.name,
        calibration=calibration,
        device=device,
        precision=precision,
    )


def untrained_searcher(settings: ModelSettings, *, seed: int, device: str = "auto") -> NetworkSearcher:
    """A searcher with random weights drawn from ``seed``: the floor any training must rise above."""
    model = untrained_model(settings, seed=seed, device=device)
    if not isinstance(model, NetworkSearcher):
        raise UsageError(f"a network of parts {model.parts!r} cannot search alone", hint="choose parts joint")
    return model


def untrained_model(settings: ModelSettings, *, seed: int, device: str = "auto") -> NetworkModel:
    """As :func:`untrained_searcher`, for detectors and embedders too."""
    if settings.identities < 1:
        raise UsageError("a network needs at least one identity", hint="set identities")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(settings)
    described = json.dumps([seed, settings.to_json()], sort_keys=True)
    return KINDS[settings.network.parts](
        network,
        settings,
        fingerprint=hashlib.sha256(described.encode()).hexdigest(),
        name=f"untrained-{settings.trunk}-{seed}",
        device=device,
    )
