"""Every table, to be looked at only: changes go through actions, which know the rules and write the events."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from rest_framework.authtoken.models import TokenProxy

from taxonomy import models


class Look(admin.ModelAdmin):
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.User)
class LookAtUser(Look):
    list_display = ("username", "role", "is_active", "date_joined")
    exclude = ("password",)


admin.site.register(
    [
        *(models.Network, models.Layer, models.Neuron, models.ImageSet, models.Image),
        *(models.Evidence, models.EvidenceVersion, models.Artifact, models.Sprite, models.Job, models.Shard),
        *(models.Family, models.FamilyLink, models.Membership, models.Label, models.Reveal, models.Tally),
        *(models.Review, models.Proposal, models.Event),
    ],
    Look,
)
if admin.site.is_registered(TokenProxy):  # tokens are their owners' alone
    admin.site.unregister(TokenProxy)
