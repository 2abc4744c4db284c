"""Image sets: where dataset examples come from."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers

from taxonomy.api.resources import Resource, image_set_called
from taxonomy.models import ImageSet


class ImageSetSerializer(serializers.ModelSerializer):
    left_out = serializers.SerializerMethodField(help_text="how many files were no readable picture")

    class Meta:
        model = ImageSet
        fields = ["name", "digest", "licence", "source", "count", "left_out", "created_at"]

    def get_left_out(self, image_set: ImageSet) -> int:
        return len(image_set.left_out)


class ImageSetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Registered sets of pictures."""

    serializer_class = ImageSetSerializer
    lookup_field = "name"

    def get_queryset(self) -> QuerySet[ImageSet]:
        return ImageSet.objects.all()

    def get_object(self) -> Any:
        return image_set_called(self.kwargs["name"])
