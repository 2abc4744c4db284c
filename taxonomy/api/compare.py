"""Neurons or families side by side, as numbers; each with the version of evidence that it stands in."""

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import compare as actions
from taxonomy.actions.circuits import both_rotate
from taxonomy.actions.compare import Beside, Side, numbers_of
from taxonomy.api.resources import Resource
from taxonomy.models import EvidenceVersion


class ShownSerializer(serializers.Serializer):
    """A version of evidence. What stands at its ``url`` never changes."""

    id = serializers.UUIDField(source="public_id")
    kind = serializers.CharField(source="evidence.kind")
    url = serializers.SerializerMethodField()

    def get_url(self, version: EvidenceVersion) -> str:
        address: str = self.context["request"].build_absolute_uri(version.get_absolute_url())
        return address


class TuningSerializer(serializers.Serializer):
    """To one stimulus. Of a family what its members are on the whole, each turned to its own peak: medians, and how
    many respond. ``alike`` and ``turned`` are correlations with the first one's curve, as it is and with both turned
    to their peaks."""

    stimulus = serializers.CharField()
    evidence = ShownSerializer(
        source="versions", many=True, help_text="of a family, that of the members that were read: 24 at most"
    )
    peak = serializers.FloatField(allow_null=True)
    width = serializers.FloatField(allow_null=True)
    echo = serializers.FloatField(allow_null=True)
    strongest = serializers.FloatField(allow_null=True, help_text="in its sd, where that is known")
    responding = serializers.IntegerField(source="count", allow_null=True, help_text="members of a family")
    alike = serializers.FloatField(source="like", allow_null=True)
    turned = serializers.FloatField(allow_null=True)


class WeightSerializer(serializers.Serializer):
    neuron = serializers.CharField()
    value = serializers.FloatField()


class WeightsSerializer(serializers.Serializer):
    """A neuron's weights from the nearest layer before it or, where those were not made, to the nearest after it."""

    evidence = ShownSerializer()
    direction = serializers.CharField()
    layer = serializers.CharField()
    scale = serializers.FloatField(help_text="the largest magnitude")
    strong = serializers.IntegerField(help_text="how many reach 30 % of it")
    channels = serializers.IntegerField(help_text="of how many")
    strongest = WeightSerializer(many=True)


class WiredSerializer(serializers.Serializer):
    """A family's weights from another one."""

    evidence = ShownSerializer()
    source = serializers.CharField(help_text="that family, as network/layer/family")
    scale = serializers.FloatField(help_text="the largest magnitude")
    equivariance = serializers.FloatField(
        allow_null=True, help_text="null too where they do not both stand evenly around a turn, and it tells nothing"
    )


class PictureSerializer(serializers.Serializer):
    """What stands for the neuron, and how strongly that drives it."""

    evidence = ShownSerializer()
    value = serializers.FloatField(allow_null=True)


class ExamplesSerializer(serializers.Serializer):
    """What excites it most."""

    evidence = ShownSerializer()
    image_set = serializers.CharField(allow_null=True)
    values = serializers.ListField(child=serializers.FloatField())


class AngledSerializer(serializers.Serializer):
    """A member of a family."""

    neuron = serializers.CharField(source="neuron.address")
    angle = serializers.FloatField(
        allow_null=True, help_text="where its tuning peaks, or else what its membership says; in degrees"
    )


class SideSerializer(serializers.Serializer):
    """A neuron or a family. What is measured of the other alone is null or empty, and so is what was not made yet."""

    address = serializers.CharField(help_text="as ?with= takes it")
    url = serializers.URLField(help_text="of its page")
    network = serializers.CharField()
    layer = serializers.CharField()
    index = serializers.IntegerField(allow_null=True, help_text="of a neuron")
    family = serializers.IntegerField(allow_null=True, help_text="a family's id; of neurons none is told here")
    sd = serializers.FloatField(allow_null=True, help_text="of a neuron's values over an image set")
    picture = PictureSerializer(allow_null=True)
    tuning = TuningSerializer(many=True)
    weights = WeightsSerializer(allow_null=True)
    examples = ExamplesSerializer(allow_null=True)
    members = AngledSerializer(many=True)
    wired = WiredSerializer(many=True)


class BesideSerializer(serializers.Serializer):
    sides = SideSerializer(many=True)
    aligned = serializers.ListField(
        child=serializers.ListField(child=AngledSerializer(allow_null=True)),
        help_text="the first family's members by angle, and beside each those of the others that are nearest to it",
    )


class CompareViewSet(Resource):
    """Two to four neurons or families side by side, also of different networks."""

    def query_parameters(self) -> list[str]:
        return ["with"]

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "with", OpenApiTypes.STR, many=True, required=True, description=f"{actions.FORMS} Once for each."
            )
        ],
        responses=BesideSerializer,
    )
    def compare(self, request: Request) -> Response:
        """The same evidence of each: what drives it, what it is tuned to, its weights, its examples; of families their
        members, those whose angles match, and what they are wired to.

        Who is told the members of families has looked at them; of those that one is to read first nothing is told.
        """
        written = actions.named(request.query_params.getlist("with"))
        if not 1 <= len(written) <= actions.MOST:
            raise ValidationError({"with": f"Name up to {actions.MOST}: ?with=...&with=... {actions.FORMS}"})
        sides = actions.found(written)
        wrong = [side for side in sides if side.problem]
        if wrong:
            problems = {"with": [side.problem for side in wrong]}
            raise NotFound(problems) if all(side.missing for side in wrong) else ValidationError(problems)
        beside = actions.lay(request.user, sides)
        told = {"sides": [_side(request, beside, side) for side in sides], "aligned": beside.aligned}
        return Response(BesideSerializer(told, context={"request": request}).data)


def _side(request: Request, beside: Beside, side: Side) -> dict[str, Any]:
    subject = side.neuron or side.family
    assert subject is not None
    return {
        "address": side.address,
        "url": request.build_absolute_uri(subject.get_absolute_url()),
        "network": side.place.network.name,
        "layer": side.place.name,
        "index": side.neuron.index if side.neuron is not None else None,
        "family": side.family.pk if side.family is not None else None,
        "sd": side.sd,
        "picture": _told(_picture, side.portrait),
        "tuning": [row for laid in beside.laid for row in laid.rows if row.side is side],
        "weights": next((told for one in side.weights if (told := _told(_weights, one))), None),
        "examples": _told(_examples, side.examples),
        "members": side.members,
        "wired": [told for version in side.wired if (told := _told(_wired, version))],
    }


def _told(of: Callable[[EvidenceVersion, Mapping[str, Any]], dict[str, Any]], version: EvidenceVersion | None) -> Any:
    """What a version's numbers tell; None where there is none, or they do not read."""
    try:
        return of(version, numbers_of(version)) | {"evidence": version} if version is not None else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _picture(version: EvidenceVersion, numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": numbers.get("value")}


def _weights(version: EvidenceVersion, numbers: Mapping[str, Any]) -> dict[str, Any]:
    layer = str(numbers["layer"])
    rows = [(int(row["neuron"]), float(row["value"])) for row in numbers["strongest"]]
    return {
        "direction": version.evidence.parameters.get("direction"),
        "layer": layer,
        **{name: numbers[name] for name in ("scale", "strong", "channels")},
        "strongest": [{"neuron": f"{layer}:{index}", "value": value} for index, value in rows if value],
    }


def _examples(version: EvidenceVersion, numbers: Mapping[str, Any]) -> dict[str, Any]:
    images = version.evidence.image_set
    return {
        "image_set": images.name if images is not None else None,
        "values": [float(row["value"]) for row in numbers["top"]],
    }


def _wired(version: EvidenceVersion, numbers: Mapping[str, Any]) -> dict[str, Any]:
    row = version.evidence
    assert row.other is not None
    return {
        "source": f"{row.other.layer.network.name}/{row.other.layer.name}/{row.other.name}",
        "scale": float(numbers["scale"]),
        "equivariance": numbers.get("equivariance") if both_rotate(numbers) else None,
    }
