"""Every table, to be looked at only: changes go through actions, which know the rules and write the events.

By admins alone, who have no scientific vote: whoever labels must not meet others' readings here.
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest
from rest_framework.authtoken.models import TokenProxy

from taxonomy import models


class Look(admin.ModelAdmin):
    show_full_result_count = False
    list_per_page = 50

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request.user, "role", "") == models.Role.ADMIN and super().has_view_permission(request, obj)

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
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # counts wrong passwords
if admin.site.is_registered(TokenProxy):  # tokens are their owners' alone
    admin.site.unregister(TokenProxy)
