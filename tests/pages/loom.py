"""Weights between two layers, in the form that ``workers.evidence.layer_weights`` writes."""

import io
import json
from typing import Any

import numpy as np

from taxonomy import recipes
from taxonomy.models import Evidence, Layer
from tests.factory import add_version


def layer_weights(rows: int, columns: int, k: int = 3) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Data, strengths and kernels: weight ``row - column`` (in tenths) in the middle of each kernel, half beside it."""
    strengths = ((np.arange(rows)[:, None] - np.arange(columns)) / 10).astype(np.float32)
    kernels = np.zeros((rows, columns, k, k), dtype=np.int8)
    kernels[:, :, k // 2, k // 2] = 127 * np.sign(strengths)
    kernels[:, :, k // 2, 0] = 64 * np.sign(strengths)
    order = np.argsort(-np.abs(strengths), axis=None, kind="stable")[:200]
    places = zip(*(axis.tolist() for axis in np.unravel_index(order, strengths.shape)), strict=True)
    data = {
        "rows": rows,
        "columns": columns,
        "k": k,
        "size": k,
        "kept": 1.0,
        "scale": float(np.abs(strengths).max()),
        "error": 0.001,
        "linearised": [False] * rows,
        "angles": [float(15 * (rows - row)) for row in range(rows)],
        "stimulus": "curve",
        "source_angles": [float(15 * column) for column in range(columns)],
        "source_stimulus": "line",
        "strongest": [[row, column, float(strengths[row, column])] for row, column in places],
    }
    return data, strengths, kernels


def make_layer_weights(
    source: Layer, target: Layer, found: tuple[dict[str, Any], np.ndarray, np.ndarray] | None = None, **fields: Any
) -> Evidence:
    """The weights from one layer to another; ``status`` other than done makes no version."""
    kind, network = recipes.KINDS["layer_weights"], target.network
    parameters = {"layer": source.name}
    key = recipes.key(
        kind.name,
        version=kind.version,
        weights_digest=network.weights_digest,
        image_set_digest="",
        subject=str(target),
        parameters=parameters,
    )
    evidence = Evidence.objects.create(
        key=key,
        kind=kind.name,
        recipe_version=kind.version,
        network=network,
        layer=target,
        parameters=parameters,
        **fields,
    )
    if "status" not in fields:
        data, strengths, kernels = found or layer_weights(target.channels, source.channels)
        files = [("data", json.dumps({"layer": source.name, **data}).encode(), ".json")]
        files += [("strengths", stored(strengths), ".npy"), ("kernels", stored(kernels), ".npy")]
        add_version(evidence, files)
    return evidence


def stored(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
