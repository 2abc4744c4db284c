"""Hiding circuit notes and claims that do not belong here; comments are hidden in ``api.discussions``."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import moderation
from taxonomy.api.discussions import HidingBody
from taxonomy.api.resources import NoBody, Resource
from taxonomy.models import Claim, Note
from taxonomy.permissions import can_moderate


class HiddenSerializer(serializers.Serializer):
    """What became of a note or a claim; what it says is for who may read it."""

    id = serializers.UUIDField(source="public_id")
    hidden_at = serializers.DateTimeField(allow_null=True)
    hidden_by = serializers.CharField(source="hidden_by.username", allow_null=True, default=None)
    hidden_reason = serializers.CharField()


class NoteModerationViewSet(Resource):
    """Admins reach every note, whether they may read it or not."""

    gate = staticmethod(can_moderate)
    serializer_class = HiddenSerializer
    kind: type[Note] | type[Claim] = Note

    def get_object(self) -> Any:
        found = self.kind._default_manager.filter(public_id=self.kwargs["public_id"]).first()
        if found is None:
            raise NotFound(f"There is no such {self.kind._meta.model_name} here.")
        return found

    @extend_schema(request=HidingBody, responses=HiddenSerializer)
    def hide(self, request: Request, public_id: Any) -> Response:
        """Take it from view, for all but its authors and admins. Nothing is deleted."""
        reason = self.checked(request, HidingBody)["reason"]
        return Response(HiddenSerializer(moderation.hide(request.user, self.get_object(), reason)).data)

    @extend_schema(request=None, responses=HiddenSerializer)
    def unhide(self, request: Request, public_id: Any) -> Response:
        """Show it again, as it was."""
        self.checked(request, NoBody)
        return Response(HiddenSerializer(moderation.unhide(request.user, self.get_object())).data)


class ClaimModerationViewSet(NoteModerationViewSet):
    """Admins reach every claim, whether they may read it or not."""

    kind = Claim
