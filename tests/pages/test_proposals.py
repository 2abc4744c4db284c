import pytest

from taxonomy.models import Family, Proposal


@pytest.fixture
def propose(client, world):
    client.force_login(world.contributor)

    def propose(**said):
        fields = {
            "name": "Spirals",
            "remark": "Turn, as [[3b:1]].",
            "kind": "natural",
            "confidence": "low",
            "symmetry": "none",
        }
        return client.post("/networks/tinynet/mixed3b/propose/", fields | said)

    return propose


def test_a_proposal_is_made_and_accepted_by_another(propose, client, world):
    response = propose(parent=world.curves.pk)
    proposal = Proposal.objects.get(name="Spirals")
    assert response.url == proposal.get_absolute_url()
    html = client.get(response.url).content.decode()
    assert "Nobody decides a proposal of their own" in html
    assert "Withdraw" in html
    assert client.post(response.url, {"decision": "accept"}).status_code == 403
    client.force_login(world.reviewer)
    client.post(response.url, {"decision": "accept", "comment": "Yes."})
    family = Family.objects.get(name="Spirals")
    assert family.parent == world.curves
    assert "Proposed by" in client.get(family.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "curves"}, "has a family “curves” already"),
        ({"name": "Boundaries"}, "is proposed for mixed3b already"),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"remark": "x" * 20_001}, "at most 20000 characters"),
        ({"parent": 77777}, "That is no family of this layer."),
        ({"kind": "unnatural"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_proposed_is_told(propose, world, said, sentence):
    response = propose(**said)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert Proposal.objects.count() == 1


def test_families_of_other_layers_are_no_parents(propose, world):
    other = Family.objects.get(name="Edges")
    assert propose(parent=other.pk).status_code == 422


def test_a_rejection_needs_a_reason(client, world):
    client.force_login(world.reviewer)
    address = world.proposal.get_absolute_url()
    response = client.post(address, {"decision": "reject"})
    assert response.status_code == 422
    assert "Say why" in response.content.decode()
    client.post(address, {"decision": "reject", "comment": "Too **wide**."})
    assert "<strong>wide</strong>" in client.get(address).content.decode()


def test_unknown_decisions_change_nothing(client, world):
    client.force_login(world.reviewer)
    assert client.post(world.proposal.get_absolute_url(), {"decision": "eat"}).status_code == 422
    assert Proposal.objects.get().state == "open"


def test_withdrawing_is_the_authors(client, world):
    address = world.proposal.get_absolute_url()
    client.force_login(world.contributor)
    assert client.post(address, {"decision": "withdraw"}).status_code == 403
    client.force_login(world.readers[0])
    client.post(address, {"decision": "withdraw"})
    assert Proposal.objects.get().state == "withdrawn"


def test_visitors_sign_in_to_propose(client, world):
    assert "Sign in to propose families." in client.get("/networks/tinynet/mixed3b/propose/").content.decode()
    assert client.post("/networks/tinynet/mixed3b/propose/", {"name": "x"}).status_code == 403
