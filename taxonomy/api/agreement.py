"""Agreement: the newest figures of networks, layers and families."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers

from taxonomy.api.resources import Resource, layer_called, network_called
from taxonomy.models import Agreement, Layer

SHOWN = ("neurons", "people", "readings", "needed", "nominal", "tree", "same", "confusions")


class AgreementSerializer(serializers.ModelSerializer):
    """``figures``: ``neurons`` are those read blind by two people or more, ``people`` who they are. ``nominal`` and
    ``tree`` are Krippendorff's alpha with its bootstrap 95 % interval, null where fewer than ``needed`` neurons were
    read or where everybody said the same; ``same`` is the share of pairs of readings that say the same; ``confusions``
    are pairs of families (ids, 0 for "none of these") that people read in the same neurons."""

    network = serializers.CharField(source="network.name")
    layer = serializers.CharField(source="layer.name", allow_null=True, default=None)
    family = serializers.IntegerField(source="family_id", allow_null=True)
    family_name = serializers.CharField(source="family.name", allow_null=True, default=None)
    figures = serializers.SerializerMethodField()

    class Meta:
        model = Agreement
        fields = [*("id", "network", "layer", "family", "family_name", "figures"), *("flagged", "rule_version", "at")]

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_figures(self, row: Agreement) -> dict[str, Any]:
        return {name: row.figures[name] for name in SHOWN}


class AgreementFilter(filters.FilterSet):
    """``?network=``, ``?layer=``, ``?family=`` and ``?flagged=``."""

    network = filters.CharFilter(method="of_network", help_text="a network's name")
    layer = filters.CharFilter(method="of_layer", help_text="a layer's name, such as mixed3b")
    family = filters.NumberFilter(
        field_name="family", min_value=1, max_value=2**62, help_text="a family's id", decimal_places=0
    )
    flagged = filters.BooleanFilter(help_text="families whose definition is not clear enough")

    def of_network(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        return queryset.filter(network=network_called(value))

    def of_layer(self, queryset: QuerySet[Agreement], name: str, value: str) -> QuerySet[Agreement]:
        network = self.form.cleaned_data.get("network")
        if network:
            return queryset.filter(layer=layer_called(network_called(network), value))
        return queryset.filter(layer__in=Layer.objects.filter(name=value.replace("\0", "")))


class AgreementViewSet(mixins.ListModelMixin, Resource):
    """The newest figures of each network, layer and family. Who agrees with whom, and on which neurons people differ,
    is told on the pages to those who may know."""

    serializer_class = AgreementSerializer
    filterset_class = AgreementFilter

    def get_queryset(self) -> QuerySet[Agreement]:
        newest = Agreement.objects.newest().values("pk")
        return Agreement.objects.filter(pk__in=newest).select_related("network", "layer", "family").order_by("id")
