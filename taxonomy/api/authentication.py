"""Who asks: tokens, and what a visitor hears. DRF loads this while it loads itself, so it imports little."""

import re
from typing import Any

from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from taxonomy.permissions import require

KEY = re.compile(r"[0-9a-f]{40}")


class TokenAuthentication(authentication.TokenAuthentication):
    """``Authorization: Token 9944...``. A blocked person's token opens nothing."""

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = self.get_model().objects.select_related("user").filter(key=key).first() if KEY.fullmatch(key) else None
        if token is None:
            raise AuthenticationFailed("This token is not valid here. Get one from /api/v1/token/, or from your page.")
        if not token.user.is_active:
            raise AuthenticationFailed("This account is blocked.")
        return token.user, token


class Gate(BasePermission):
    """Everybody reads. A visitor who writes hears from the rule itself (``view.gate``) what to sign in for."""

    def has_permission(self, request: Request, view: Any) -> bool:
        gate = getattr(view, "gate", None)  # what cannot be written has none, and answers 405 by itself
        if gate and request.method not in SAFE_METHODS and not request.user.is_authenticated:
            require(gate(request.user))
        return True
