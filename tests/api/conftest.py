import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from taxonomy.models import User


class Client(APIClient):
    """Speaks JSON; ``as_`` signs in with a token."""

    def as_(self, user: User) -> "Client":
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=user)[0].key}")
        return client

    def send(self, path: str, **body):
        return self.post(f"/api/v1/{path}", body, format="json")

    def read(self, path: str, **query):
        return self.get(f"/api/v1/{path}", query)


@pytest.fixture
def api() -> Client:
    return Client()
