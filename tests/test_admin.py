"""Django's admin looks only, lets only admins look, and has no door of its own."""

import pytest

from taxonomy.models import Role
from tests.factory import make_agreed, make_family, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("role", "status"), [(Role.CONTRIBUTOR, 403), (Role.REVIEWER, 403), (Role.ADMIN, 200)])
def test_whoever_labels_meets_no_readings_here(client, role, status) -> None:
    network = make_network()
    make_agreed(neuron_at("mixed3b:1"), make_family(network.layers.get(name="mixed3b")))
    client.force_login(make_user(role=role, is_staff=True, is_superuser=True))
    for table in ("label", "tally", "neuron", "event"):
        assert client.get(f"/admin/taxonomy/{table}/").status_code == status
        assert client.get(f"/admin/taxonomy/{table}/add/").status_code == 403


def test_signing_in_is_counted_as_everywhere(client) -> None:
    """Django's own form would let passwords be tried without end, and addresses stay unverified."""
    response = client.post("/admin/login/", {"username": "a", "password": "b"})
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")
