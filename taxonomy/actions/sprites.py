"""The faces of a layer's neurons in one picture."""

import json
from collections.abc import Sequence

from django.db.models import F

from taxonomy import recipes, storage
from taxonomy.models import Artifact, Layer, Photograph, Sprite
from taxonomy.rendering.sprites import Box, compose

# Which picture stands for a neuron: the first of these that it has (kind, artifact's name).
FACES = (
    ("kernels", "kernel"),
    ("feature_visualization", "image"),
    ("imported_picture", "image"),
    ("dataset_examples", "data"),  # where the best of them is said; the picture itself is a photograph
)

Face = tuple[str, Box | None]  # a file, and the part of it to show


def build_sprite(layer: Layer) -> Sprite | None:
    """Compose the layer's faces into one picture, if they changed since the last time."""
    faces: dict[int, Face] = {}
    for kind, name in FACES:
        current = Artifact.objects.filter(
            name=name,
            version=F("version__evidence__current"),
            version__evidence__layer=layer,
            version__evidence__kind=kind,
            version__evidence__neuron__isnull=False,
        ).exclude(version__evidence__parameters__contains={"objective": "negative"})
        places = current.order_by("version__evidence__neuron__index", "version_id").values_list(
            "version__evidence__neuron__index", "sha256", "version__evidence__image_set"
        )
        missing = [place for place in places if place[0] not in faces]
        if kind == "dataset_examples":
            faces |= _examples(layer, missing)
        else:
            faces |= {index: (sha256, None) for index, sha256, _ in reversed(missing)}
    if not faces:
        return None
    digest = recipes.digest(sorted(faces.items()))
    known = Sprite.objects.filter(layer=layer).first()
    if known is not None and known.digest == digest:
        return known
    sprite = compose(layer.channels, faces)
    values = {
        "sha256": storage.put(sprite.data),
        "cell": sprite.cell,
        "columns": sprite.columns,
        "shown": sorted(sprite.shown),
        "digest": digest,
    }
    return Sprite.objects.update_or_create(layer=layer, defaults=values)[0]


def _examples(layer: Layer, places: Sequence[tuple[int, str, int | None]]) -> dict[int, Face]:
    """What a neuron sees of the image that excites it most, where that image is kept."""
    best: dict[int, tuple[tuple[int | None, int], Box]] = {}
    for neuron, sha256, image_set in places:
        try:
            top = json.loads(storage.read(sha256))["top"][0]
            best.setdefault(neuron, ((image_set, int(top["image"])), tuple(top["box"])))
        except (OSError, ValueError, LookupError, TypeError):  # gone from the store, or spoilt there
            continue
    seen = layer.network.preprocessing
    kept = Photograph.objects.filter(
        resize=seen.get("resize"),
        size=seen.get("size"),
        image__image_set__in={image_set for (image_set, _), _ in best.values()},
        image__index__in={index for (_, index), _ in best.values()},
    )
    files = {
        (pk, index): sha256 for pk, index, sha256 in kept.values_list("image__image_set", "image__index", "sha256")
    }
    return {neuron: (files[image], box) for neuron, (image, box) in best.items() if image in files}
