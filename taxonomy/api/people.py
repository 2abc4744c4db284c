"""Signing in: a username and a password for a token."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from taxonomy.api.authentication import TokenAuthentication
from taxonomy.api.resources import Body


class TokenThrottle(SimpleRateThrottle):
    """So many tries a minute from one address; allauth counts the wrong ones for each account as well."""

    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return str(self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)})


class TokenBody(Body):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=500, trim_whitespace=False)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="send it as the header 'Authorization: Token ...'")
    username = serializers.CharField()
    role = serializers.CharField()


class Challenge(TokenAuthentication):
    """Names the scheme in a 401, and reads no token: an old one must not stop its owner from getting a new one."""

    def authenticate(self, request: Request) -> None:
        return None


class TokenView(APIView):
    authentication_classes = [Challenge]
    permission_classes = [AllowAny]
    throttle_classes = [TokenThrottle]

    @extend_schema(request=TokenBody, responses=TokenSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Sign in, and get the token that this account's programs send."""
        body = TokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        person: Any = get_adapter().authenticate(request._request, **body.validated_data)
        if person is None:
            raise AuthenticationFailed("There is no account with this username and password.")
        if not person.is_active:
            raise AuthenticationFailed("This account is blocked.")
        if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" and not has_verified_email(person):
            raise AuthenticationFailed("Verify your address first: the link is in the mail that we sent you.")
        token, _ = Token.objects.get_or_create(user=person)
        return Response({"token": token.key, "username": person.username, "role": person.role})
