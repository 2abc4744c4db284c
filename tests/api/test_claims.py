"""Claims over the API: the same rules, the same sentences."""

import pytest

from taxonomy.models import Claim, Network, Reveal, Role
from tests.api.conftest import Client
from tests.factory import (
    make_claim,
    make_evidence,
    make_family,
    make_image_set,
    make_network,
    make_note,
    make_plan,
    make_run,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network(class_names=["cat", "dog"])


@pytest.fixture
def curves(network):
    return make_family(network.layers.get(name="mixed3b"), "Curves", units=[0, 1])


@pytest.fixture
def body(curves) -> dict:
    return {
        "network": "tinynet",
        "family": "Curves",
        "kind": "causality",
        "sentence": "Negative weights keep curves quiet.",
        "plan": make_plan(measure={"what": "response", "of": "mixed3b/Curves"}),
    }


def test_a_claim_is_previewed_stated_run_and_withdrawn(api: Client, body) -> None:
    ada, rita = make_user("ada"), make_user("rita", role=Role.REVIEWER)
    asked = {name: body[name] for name in ("network", "family", "plan")}
    preview = api.as_(ada).send("claims/preview/", **asked).json()
    assert preview["words"].startswith("When the negative weights from conv1:0 and conv1:1 to mixed3b:0")
    assert (preview["kernels"], preview["pairs"], preview["passes"], preview["seconds"]) == (4, 6, 1584, None)
    assert preview["measured"] == 2
    few, alike = preview["cautions"]
    assert few == "With 2 neurons it can only be inconclusive: measure 5 or more, or one alone."
    assert "no more than 1 control can differ" in alike
    assert not Claim.objects.exists()
    made = api.as_(ada).send("claims/", **body)
    assert made.status_code == 201, made.json()
    claim = made.json()
    assert claim["plan"]["measure"]["of"]["channels"] == [0, 1]
    assert claim["plan"] == preview["plan"]
    assert (claim["author"], claim["ruling"], claim["runs"]) == ("ada", "", [])
    address = f"claims/{claim['id']}/"
    refused = api.as_(ada).send(f"{address}run/")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "Experiments cost the workers' time: a reviewer or an editor starts them."
    assert api.as_(rita).send(f"{address}run/").json()["runs"][0]["status"] == "queued"
    make_run(Claim.objects.get(), "refuted")
    read = api.read(address).json()
    assert read["ruling"] == "refuted"
    run = read["runs"][0]
    assert (run["effect"], run["low"], run["high"], run["n"]) == (0.3, 0.2, 0.4, 6)
    assert run["evidence"]
    assert api.as_(ada).send(f"{address}withdraw/", reason="").status_code == 400
    assert api.as_(ada).send(f"{address}withdraw/", reason="So be it.").json()["withdrawn_reason"] == "So be it."


@pytest.mark.parametrize(
    ("said", "status", "sentence"),
    [
        ({"plan": []}, 400, "plan"),
        ({"plan": {}}, 400, "Say what is changed"),
        ({"plan": {"do": [{"do": "drop", "at": "mixed3b"}]}}, 400, "do: This drops all of mixed3b"),
        ({"plan": make_plan(show=[1])}, 400, "show"),
        ({"plan": make_plan(do=[{"do": "drop", "at": [[]]}])}, 400, "Name neurons, or a family."),
        ({"plan": make_plan(show={"kind": "images", "image_set": "holidays"})}, 404, "no image set 'holidays'"),
        ({"plan": make_plan(show={"kind": "images", "image_set": ["x"]})}, 400, "Name an image set"),
        ({"plan": make_plan(measure={"what": {"a": 1}})}, 400, "What is measured is one of"),
        ({"plan": make_plan(expect={"change": "rises", "margin": True})}, 400, "The margin is a number"),
        (
            {"plan": make_plan(expect={"change": "falls", "margin": 1.5, "relative": True})},
            400,
            "Nothing falls by more",
        ),
        ({"plan": make_plan(measure={"what": "response", "of": "3b:4"})}, 400, "for none of the neurons that are meas"),
        ({"plan": make_plan(show={"kind": "images", "picturs": "all"})}, 400, "show: There is no “picturs” here."),
        ({"plan": make_plan(show={"kind": "images", "indices": [1], "most": 3})}, 400, "leave one out"),
        ({"family": None}, 400, "one of note, family and neuron"),
        ({"neuron": "3b:1"}, 400, "one of note, family and neuron"),
        ({"family": "Nobody"}, 400, "Its families are"),
        ({"family": None, "neuron": "9z:1"}, 404, "layer"),
        ({"family": None, "note": "00000000-0000-0000-0000-000000000000"}, 404, "no such note"),
        ({"network": "nowhere"}, 404, "no network 'nowhere'"),
        ({"kind": "gossip"}, 400, "Choose one of: causality"),
        ({"sentence": " "}, 400, "sentence"),
        ({"restates": "00000000-0000-0000-0000-000000000000"}, 404, "to restate"),
        ({"verdict": "supported"}, 400, "There is no field 'verdict'."),
    ],
)
def test_bad_values_are_sentences(api: Client, body, said, status, sentence) -> None:
    answer = api.as_(make_user()).send("claims/", **(body | said))
    assert answer.status_code == status, answer.json()
    assert sentence in answer.json()["detail"]
    assert not Claim.objects.exists()


def test_visitors_are_told_what_to_sign_in_for(api: Client, body, curves) -> None:
    claim = make_claim(curves)
    for path, sentence in {
        "claims/": "Sign in to state claims.",
        "claims/preview/": "Sign in to state claims.",
        f"claims/{claim.public_id}/run/": "Sign in to run experiments.",
        f"claims/{claim.public_id}/withdraw/": "Sign in to withdraw a claim.",
    }.items():
        answer = api.send(path)
        assert (answer.status_code, answer.json()["detail"]) == (401, sentence)


def test_a_claim_cannot_be_changed(api: Client, curves) -> None:
    claim = make_claim(curves, ada := make_user())
    for method in ("put", "patch", "delete"):
        answer = getattr(api.as_(ada), method)(f"/api/v1/claims/{claim.public_id}/", {"sentence": "x"}, format="json")
        assert answer.status_code == 405


def test_lists_by_what_became_of_them(api: Client, network, curves) -> None:
    held, waits = make_claim(curves, sentence="One."), make_claim(curves, kind="purity", sentence="Two.")
    make_run(held, "supported")

    def listed(**query) -> list[str]:
        return [row["sentence"] for row in api.read("claims/", **query).json()["results"]]

    assert listed() == [waits.sentence, held.sentence]
    assert listed(ruling="supported") == ["One."]
    assert listed(ruling="untested") == ["Two."]
    assert listed(kind="purity", network="tinynet") == ["Two."]
    assert api.read("claims/", ruling="odd").status_code == 400
    assert api.read("claims/", network="nowhere").status_code == 404
    assert api.read("claims/", sort="x").status_code == 400


def test_lists_ask_no_more_however_long(api: Client, network, curves, django_assert_max_num_queries) -> None:
    for number in range(8):
        make_run(make_claim(curves, sentence=f"Claim {number}."), "supported")
        make_claim(neuron_at("3b:0"), sentence=f"Claim {number}.")
        make_claim(make_note(network, published=True), sentence=f"Claim {number}.")
    client = api.as_(make_user())
    with django_assert_max_num_queries(15):
        assert len(client.read("claims/").json()["results"]) == 24


def test_who_may_not_see_a_claim_restates_it_not(api: Client, network, body) -> None:
    secret = make_claim(make_note(network, ada := make_user()), ada, "A secret.")
    answer = api.as_(make_user()).send("claims/", **(body | {"restates": str(secret.public_id)}))
    assert answer.status_code == 403
    assert "A secret." not in str(answer.json())
    assert Claim.objects.get() == secret


def test_what_a_draft_claims_is_for_its_authors_with_its_experiment(api: Client, network, curves) -> None:
    ada = make_user()
    secret = make_claim(make_note(network, ada), ada, "A secret.")
    version = make_run(secret, "supported").evidence
    make_evidence(neuron_at("3b:1"), data={})
    reader = api.as_(make_user())
    assert reader.read(f"claims/{secret.public_id}/").status_code == 403
    assert reader.read("claims/").json()["results"] == []
    assert reader.read(f"evidence/{version.pk}/").status_code == 404
    assert [row["kind"] for row in reader.read("evidence/").json()["results"]] == ["feature_visualization"]
    assert reader.send(f"evidence/versions/{version.current.public_id}/reproduce/").status_code == 403
    assert "secret" not in str(reader.read("jobs/").json())
    own = api.as_(ada)
    assert own.read(f"claims/{secret.public_id}/").json()["sentence"] == "A secret."
    assert {row["kind"] for row in own.read("evidence/").json()["results"]} == {"feature_visualization", "edit"}


def test_pictures_by_what_they_are(api: Client, network, body) -> None:
    make_image_set(count=9)
    plan = make_plan(
        do=[{"do": "drop", "at": "mixed3b:0"}],
        show={"kind": "images", "image_set": "pictures", "pictures": "random", "most": 6},
        measure={"what": "class_probability", "class": 1},
        expect={"change": "falls", "margin": 0.1},
    )
    made = api.as_(make_user()).send("claims/", **(body | {"plan": plan})).json()
    assert made["image_set"] == "pictures"
    assert len(made["plan"]["show"]["indices"]) == 6
    assert "the probability of “dog” falls by more than 0.1" in made["words"]


@pytest.mark.parametrize("one", [False, True])
def test_reading_an_experiment_among_the_evidence_is_recorded(api: Client, network, curves, one: bool) -> None:
    plan = make_plan(measure={"what": "response", "of": "mixed3b:0, 5"}) | {
        "do": [{"do": "drop", "at": "conv1:0"}, {"do": "zero", "from": "conv1:1", "to": "mixed3b:0"}]
    }
    run = make_run(make_claim(curves, plan=plan), "supported")
    bob = make_user("bob")
    assert not Reveal.objects.filter(person=bob).exists()
    path, values = (f"evidence/{run.evidence_id}/", {}) if one else ("evidence/", {"kind": "edit"})
    assert "Negative weights matter" in str(api.as_(bob).read(path, **values).json())
    assert Reveal.objects.filter(person=bob, neuron=neuron_at("mixed3b:5")).exists()
