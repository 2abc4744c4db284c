"""What the API's resources share: who may write, which query parameters there are, and fields that name rows."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet, TextChoices
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taxonomy.models import Family, ImageSet, Layer, Network
from taxonomy.permissions import Answer, Person

LONGEST_NAME = 60


class Resource(GenericViewSet):
    """A viewset that tells what it does not understand, instead of passing over it.

    ``gate`` is the rule that a write's action asks first.
    """

    gate: Callable[[Person], Answer]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        allowed = self.query_parameters()
        unknown = sorted(set(request.query_params) - set(allowed))
        if unknown:
            there = f"There are: {', '.join(allowed)}." if allowed else "There are none here."
            raise ValidationError(f"There is no query parameter '{unknown[0][:60]}'. {there}")

    def query_parameters(self) -> list[str]:
        if self.action != "list":
            return []
        filterset = getattr(self, "filterset_class", None)
        return [*(filterset.base_filters if filterset else ()), "page", "page_size"]

    def checked(self, request: Request, serializer: type[serializers.Serializer]) -> dict[str, Any]:
        """The request's body, checked."""
        values: dict[str, Any] = built(serializer).run_validation(request.data)
        return values


BUILT: dict[type[serializers.Serializer], serializers.Serializer] = {}


def built(serializer: type[serializers.Serializer]) -> serializers.Serializer:
    """A serializer to check or tell one thing after another with; building one takes longer than using it."""
    if serializer not in BUILT:
        BUILT[serializer] = serializer()
    return BUILT[serializer]


class RevealingList(ListModelMixin, Resource):
    """A list of which each page is recorded, for what it tells of how others read neurons (``reveal``)."""

    reveal: Callable[[Sequence[Any]], None]

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        assert page is not None
        self.reveal(page)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class Body(serializers.Serializer):
    """What a request carries. A field that is not known is an error, not a field that is passed over."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                there = f"There are: {', '.join(self.fields)}." if self.fields else "None is taken here."
                sentence = f"There is no field '{unknown[0][:60]}'. {there}"
                raise serializers.ValidationError({"non_field_errors": [sentence]})
        return super().to_internal_value(data)


class NoBody(Body):
    pass


class Comment(Body):
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=5_000)


Choices = type[TextChoices] | Sequence[str]


def _pairs(choices: Choices) -> list[tuple[str, str]]:
    return choices.choices if isinstance(choices, type) else [(value, value) for value in choices]


def choice(choices: Choices, **options: Any) -> serializers.ChoiceField:
    """A choice whose error names the choices."""
    pairs = _pairs(choices)
    message = f"There is no '{{input}}' here. Choose one of: {', '.join(value for value, _ in pairs)}."
    return serializers.ChoiceField(choices=pairs, error_messages={"invalid_choice": message}, **options)


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 120}]})
class FamilyReference(serializers.Field):
    """A family by its id or its name. ``family_in`` finds it once the layer is known."""

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, bool) or not isinstance(data, (int, str)):
            raise serializers.ValidationError("Give a family's id (a number) or its name.")
        if isinstance(data, str):
            return str(serializers.CharField(max_length=120).run_validation(data))
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def family_in(layer: Layer, reference: int | str | None) -> Family | None:
    """The family that the reference names; by name, among those of the layer."""
    if reference is None:
        return None
    there = Family.objects.all()
    if isinstance(reference, int):
        found = there.filter(pk=reference).first()
    else:
        found = there.filter(layer=layer, retired_at=None, name__iexact=reference).first()
    if found is None:
        names = list(layer.families.filter(retired_at=None).values_list("name", flat=True)[:50])
        raise NotFound(f"{layer} has no family '{reference}'. Its families are: {', '.join(names) or 'none yet'}.")
    return found


def network_called(name: str) -> Network:
    found = Network.objects.filter(name=_text(name)).first()
    if found is None:
        raise NotFound(f"There is no network '{_text(name)}' here. Networks: {_names(Network.objects.all())}.")
    return found


def layer_called(network: Network, name: str) -> Layer:
    found = network.layers.select_related("network").filter(name=_text(name)).first()
    if found is None:
        raise NotFound(f"{network.name} has no layer '{_text(name)}'. Its layers are {_names(network.layers.all())}.")
    return found


def image_set_called(name: str) -> ImageSet:
    found = ImageSet.objects.filter(name=_text(name)).first()
    if found is None:
        raise NotFound(f"There is no image set '{_text(name)}' here. Image sets: {_names(ImageSet.objects.all())}.")
    return found


def _text(name: str) -> str:
    """A name from a request, made fit for a query: Postgres takes no NUL."""
    return name.replace("\0", "�")[:LONGEST_NAME]


def _names(rows: QuerySet[Any]) -> str:
    return ", ".join(rows.values_list("name", flat=True)) or "none yet"


class CatalogueFilter(filters.FilterSet):
    """``?network=`` and ``?layer=``, for rows that lead to a layer over ``path``."""

    path = "layer"
    network = filters.CharFilter(method="of_network", help_text="a network's name")
    layer = filters.CharFilter(method="of_layer", help_text="a layer's name, such as mixed3b")

    def of_network(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.path}__network": network_called(value)})

    def of_layer(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        network = self.form.cleaned_data.get("network")
        if network:
            return queryset.filter(**{self.path: layer_called(network_called(network), value)})
        layers = list(Layer.objects.filter(name=_text(value)))
        if not layers:
            raise NotFound(f"No network here has a layer '{_text(value)}'. Say ?network= too, to be told its layers.")
        return queryset.filter(**{f"{self.path}__in": layers})


class IndexFilter(filters.NumberFilter):
    field_class = forms.IntegerField


class NeuronFilter(CatalogueFilter):
    """And ``?index=``, for rows that lead to a neuron."""

    path = "neuron__layer"
    index = IndexFilter(method="of_index", min_value=0, max_value=2**31 - 1, help_text="a neuron's index in its layer")

    def of_index(self, queryset: QuerySet[Any], name: str, value: int) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.path.removesuffix('layer')}index": value})


def choice_filter(choices: Choices, **options: Any) -> filters.ChoiceFilter:
    pairs = _pairs(choices)
    message = f"There is no '%(value)s' here. Choose one of: {', '.join(value for value, _ in pairs)}."
    return filters.ChoiceFilter(choices=pairs, error_messages={"invalid_choice": message}, **options)


class NetworkName(serializers.CharField):
    """A network's name in a body, checked by ``network_called``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_NAME, **options)


@extend_schema_field(OpenApiTypes.STR)
class Address(serializers.CharField):
    """A neuron's address in a body: ``layer:index``, or the short form."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=80, **options)
