"""Claims as people meet them: the form that reads like a sentence, the claim's page, lists, panels, the exhibit."""

import json
import re

import pytest
from django.core.management import CommandError, call_command
from playwright.sync_api import expect

from taxonomy.actions import claims, discussions, gold, jobs, labels
from taxonomy.models import Claim, Comment, Job, Network, Neuron, Notification, Reveal, Role, Run, Standing
from tests.factory import make_claim, make_family, make_image_set, make_note, make_plan, make_run, make_user, neuron_at
from tests.pages.material import experiment, experiment_on_pictures
from tests.pages.test_accessibility import check_each, sign_in

NOBODY = "00000000-0000-0000-0000-000000000000"
SENTENCE = {
    "changes": "1",
    "change-0-do": "keep_positive",
    "change-0-source": "conv1:0,1",
    "change-0-target": "mixed3b/Curves",
    "stimulus": "curve",
    "step": "15",
    "radii": "16",
    "strokes": "2, 3 4",
    "what": "response",
    "of": "Curves",
    "change": "rises",
    "margin": "10",
    "relative": "relative",
    "sentence": "Negative weights keep curves quiet.",
    "kind": "causality",
}


@pytest.fixture
def address(world) -> str:
    return f"/claims/new/?family={world.curves.public_id}"


@pytest.fixture
def send(client, world, address):
    client.force_login(world.contributor)

    def send(do: str = "state", to: str = address, **said):
        return client.post(to, SENTENCE | {"do": do} | {name.replace("__", "-"): value for name, value in said.items()})

    return send


def problem(html: str, part: str) -> str:
    return re.search(rf'id="error-{part}"[^>]*>(.*?)</p>', html)[1]


def test_a_claim_is_stated_in_a_sentence(send, client, world):
    response = send()
    claim = Claim.objects.get()
    assert response.url == claim.get_absolute_url()
    assert claim.author == world.contributor
    assert claim.family == world.curves
    assert claim.plan["do"][0]["to"]["channels"] == [0, 1]
    assert claim.plan["show"] == {
        "kind": "sweep",
        "stimulus": "curve",
        "step": 15.0,
        "radii": [16.0],
        "strokes": [2.0, 3.0, 4.0],
    }
    assert claim.plan["expect"] == {"change": "rises", "margin": 0.1, "relative": True}
    html = client.get(response.url).content.decode()
    assert "When the negative weights from conv1:0 and conv1:1 to Curves (2 neurons of mixed3b) are set to zero" in html
    assert "With 2 neurons it can only be inconclusive" in html
    assert "It was not tested yet. Experiments cost the workers’ time" in html.replace("&#x27;", "’").replace("'", "’")
    assert 'disabled title="Experiments cost' in html
    assert "stated it" in html


@pytest.mark.parametrize(
    ("said", "part", "sentence"),
    [
        ({"change-0-source": ""}, "do", "Name neurons, or a family."),
        ({"change-0-source": "3b:4"}, "do", "does not follow"),
        ({"change-0-source": "Zigzags"}, "do", "is neither a family of tinynet nor neurons"),
        ({"change-0-source": "conv1:9"}, "do", "conv1 has 4 neurons, counted from 0: there is no 9."),
        ({"change-0-do": "eat"}, "do", "Select a valid choice"),
        (
            {"change-0-do": "scale", "change-0-factor": "much"},
            "do",
            "By which factor the weights are scaled is a number",
        ),
        ({"change-0-do": "drop", "change-0-at": "mixed3b"}, "do", "This drops all of mixed3b"),
        ({"change-0-source": "x" * 2_001}, "do", "at most 2000 characters"),
        ({"step": "7"}, "show", "divides 360"),
        ({"radii": "wide"}, "show", "A radius is a number."),
        ({"strokes": ""}, "show", "Name at least one of the strokes"),
        ({"stimulus": "songs"}, "show", "Select a valid choice"),
        ({"stimulus": "images", "image_set": "holidays"}, "show", "Select a valid choice"),
        (
            {"stimulus": "images", "image_set": "pictures", "pictures": "class", "shown_class": "cat"},
            "show",
            "no class",
        ),
        *(
            ({"stimulus": "images", "image_set": "pictures", "most": most}, "show", "at most is a number.")
            for most in ("inf", "nan", "1e999")
        ),
        ({"seed": "9" * 12}, "seed", "from 0 to 2,147,483,647."),
        ({"seed": "٣"}, "seed", "The seed is a whole number"),
        ({"stimulus": "images", "image_set": "pictures", "most": "0"}, "show", "a whole number, 1 or larger"),
        ({"what": "echo", "stimulus": "images", "image_set": "pictures"}, "measure", "is measured on a sweep"),
        ({"what": "top1", "stimulus": "images", "image_set": "pictures"}, "measure", "tells no classes apart"),
        ({"of": "conv1:0"}, "measure", "it would respond as before"),
        ({"of": ""}, "measure", "Name neurons, or a family."),
        ({"of": "3b:1", "change-0-target": "3b:0"}, "measure", "is changed for none of the neurons that are measured"),
        ({"change-0-do": "scale", "change-0-factor": "1.0000000001"}, "do", "a number other than 1"),
        ({"what": "width", "margin": "1"}, "show", "cannot tell a change by 1 %, which is 3.6 degrees at most"),
        ({"change": "falls", "margin": "150"}, "expect", "Nothing falls by more than all of what it was"),
        ({"what": "echo", "relative": "", "margin": "3"}, "expect", "is a share, and below 1: 2 % is 0.02."),
        ({"margin": ""}, "expect", "The margin is a number."),
        ({"margin": "-1"}, "expect", "0 or larger"),
        ({"change": "unchanged", "margin": "0"}, "expect", "a number larger than 0"),
        ({"what": "peak"}, "expect", "state its margin as it is"),
    ],
)
def test_each_part_is_refused_beside_itself_and_nothing_typed_is_lost(send, client, address, said, part, sentence):
    response = send(**said)
    assert response.status_code == 422
    html = response.content.decode()
    assert sentence in problem(html, part)
    assert SENTENCE["sentence"] in html
    # The live preview says the same, in the same place.
    live = client.post(address.replace("new/", "new/preview/"), SENTENCE | said)
    assert sentence in problem(live.content.decode(), part)
    assert not Claim.objects.exists()


def test_a_claim_in_no_words_is_refused(send):
    response = send(sentence=" ")
    assert response.status_code == 422
    assert "This field is required." in response.content.decode()
    assert send(sentence="a\0b").status_code == 422
    assert send(kind="gossip").status_code == 422
    assert send(sentence="x" * 401).status_code == 422


def test_the_preview_says_what_will_be_changed_and_what_it_costs(send, client, address):
    html = send("preview", sentence="").content.decode()
    for words in ("4 kernels", "6 pairs of a neuron and a stimulus, of 2 neurons", "1,584 times a pict", "20 controls"):
        assert words in html, words
    assert "nobody knows how long it takes" in html
    assert "With 2 neurons it can only be inconclusive: measure 5 or more, or one alone." in html
    assert "it would be inconclusive" in send("preview", strokes="2").content.decode()
    alone = send("preview", change__0__target="3b:0", of="3b:0", strokes="2, 3, 4, 5, 6").content.decode()
    assert "The ruling will be of this neuron alone" in alone
    assert "inconclusive" not in alone
    make_run(make_claim(make_family_of(client)), "supported")
    assert "as the last experiment here took" in send("preview").content.decode()
    assert not Claim.objects.filter(sentence=SENTENCE["sentence"]).exists()


def make_family_of(client):
    return make_family(neuron_at("3b:6").layer, "Sixes", units=[6])


def test_more_changes_and_fewer_without_a_script(send):
    html = send("add").content.decode()
    assert 'name="change-1-do"' in html
    assert 'name="changes" value="2"' in html
    both = {"changes": "2", "change-1-do": "drop", "change-1-at": "conv1:3"}
    html = send("remove-0", **both).content.decode()
    assert 'name="changes" value="1"' in html
    assert 'name="change-0-at" value="conv1:3"' in html
    assert 'value="drop" selected' in html
    for nonsense in ("remove-9", "remove-x", "dance"):
        assert send(nonsense).status_code == 200
    response = send(**both)
    assert [change["do"] for change in Claim.objects.get(sentence=SENTENCE["sentence"]).plan["do"]] == [
        "keep_positive",
        "drop",
    ]
    assert response.status_code == 302


def test_pictures_and_their_classes(send, client, world):
    Network.objects.filter(pk=world.network.pk).update(class_names=["cat", "sea lion", "sea urchin"])
    shown = {"stimulus": "images", "image_set": "pictures", "pictures": "all", "relative": "", "margin": "0.1"}
    asked = {"what": "class_probability", "measured_class": "named", "change": "falls"}
    send(**shown, **asked, class_name="lion")
    assert Claim.objects.get().plan["measure"] == {"what": "class_probability", "class": 1}
    for name, sentence in {"sea": "Several classes are called so", "dog": "no class “dog”", "": "Name a class"}.items():
        assert sentence in problem(send(**shown, **asked, class_name=name).content.decode(), "measure")
    assert "0 to 2" in problem(send(**shown, **asked, class_name="7").content.decode(), "measure")


def test_who_may_not_is_told_why(client, world, address):
    assert "Sign in to state claims." in client.get(address).content.decode()
    assert client.post(address, SENTENCE).status_code == 403
    client.force_login(world.admin)
    assert "Admins keep house" in client.get(address).content.decode()
    client.force_login(world.contributor)
    unread = f"/claims/new/?neuron=tinynet/{world.unread.address}"
    assert "after you have given your own reading" in client.get(unread).content.decode()
    assert client.post(unread, SENTENCE | {"do": "state"}).status_code == 403
    assert client.post(unread.replace("new/", "new/preview/"), SENTENCE).status_code == 403


@pytest.mark.parametrize(
    "query",
    ["", "?family=", "?family=7", f"?note={NOBODY}", "?neuron=tinynet/9z:1", "?neuron=%00"],
)
def test_a_claim_is_about_something_that_there_is(client, world, query):
    client.force_login(world.contributor)
    assert client.get(f"/claims/new/{query}").status_code == 404


def test_a_reviewer_has_it_tested_and_everybody_sees_what_came_out(client, world):
    claim = make_claim(world.curves, world.contributor, rationale="As [[3b:1]] shows.")
    address = claim.get_absolute_url()
    client.force_login(world.contributor)
    assert client.post(f"{address}run/").status_code == 403
    client.force_login(world.reviewer)
    assert "Have it tested" in client.get(address).content.decode()
    client.post(f"{address}run/")
    html = client.get(address).content.decode()
    assert "Waiting for a worker" in html
    assert 'hx-trigger="every 4s"' in html
    assert client.post(f"{address}run/", follow=True).status_code == 200
    assert Run.objects.count() == 1
    make_run(claim, "supported", data=experiment(claim.plan))
    client.logout()
    html = client.get(address).content.decode()
    for words in (
        "It rises by 30 %, all of it beyond the margin.",
        "In each control as much is set to zero. 1 more left more than a tenth of the pairs without a measure.",
        "+30 %",
        "20 % to 40 %",
        "6 pairs",
        "1 pair has no response before.",
        "radius 16 px, stroke 3 px",
        "Every pair",
    ):
        assert words in html, words
    assert html.count('class="experiment tuned"') == 2
    assert "it can only be inconclusive" not in html
    assert "another run would find the same" in html
    assert "hx-trigger" not in html.split('id="test"')[1].split(">")[0]


def test_pictures_before_and_after(client, world):
    Network.objects.filter(pk=world.network.pk).update(class_names=["cat", "dog"])
    world.curves.layer.network.refresh_from_db()
    plan = make_plan(
        do=[{"do": "drop", "at": "mixed3b/Curves"}],
        show={"kind": "images", "pictures": "all"},
        measure={"what": "prediction"},
        expect={"change": "rises", "margin": 0.1},
    )
    claim = make_claim(world.curves, plan=plan, image_set=world.images)
    run = make_run(claim, "refuted", data=experiment_on_pictures(claim.plan, "refuted"))
    for address in (claim.get_absolute_url(), run.evidence.current.get_absolute_url()):
        html = client.get(address).content.decode()
        assert "2 of 2 pictures are taken for something else." in html
        assert html.count('<img src="/artifacts/') >= 2
        assert "dog" in html
        assert "Top-1 accuracy" in html
        assert "accuracy, on average" not in html  # the same figure


def test_what_is_stated_better_is_shown_the_same_pictures(client, world):
    images = make_image_set("many", count=40)
    plan = make_plan(
        show={"kind": "images", "pictures": "random", "most": 7},
        measure={"what": "response", "of": "mixed3b/Curves"},
        seed=3,
    )
    claim = make_claim(world.curves, world.contributor, plan=plan, image_set=images)
    client.force_login(world.contributor)
    address = f"/claims/new/?family={world.curves.public_id}"
    form = client.get(f"{address}&restates={claim.public_id}").context["form"]
    data = {"seed": "5", "do": "state", "sentence": "Better put."}
    for name in form.fields:
        data.setdefault(name, str(form[name].value() or ""))
    for change in form.each:
        data |= {f"{change.prefix}-{name}": change[name].value() or "" for name in change.fields}
    assert client.post(address, data).status_code == 302
    better = Claim.objects.get(restates=claim)
    assert better.plan["show"] == claim.plan["show"]
    assert "the same as of the claim" not in client.get(address).content.decode()
    answer = client.post(address, data | {"restates": "", "sentence": "Anew."})
    assert answer.status_code == 422


def test_when_the_ruling_changes_it_is_said(client, world):
    claim = make_claim(world.curves)
    make_run(claim, "supported", data=experiment(claim.plan))
    Network.objects.filter(pk=world.network.pk).update(weights_digest="v" * 64)
    claim = Claim.objects.get()
    client.force_login(world.reviewer)
    html = client.get(claim.get_absolute_url()).content.decode()
    assert "The recipe or the network’s weights have changed since run 1" in html
    assert "Run again" in html
    make_run(claim, "refuted", data=experiment(claim.plan, "refuted"))
    html = client.get(claim.get_absolute_url()).content.decode()
    assert "run 1 found it supported, run 2 finds it refuted" in html


def test_a_run_that_came_to_nothing_says_so_and_can_be_tried_again(client, world):
    claim = make_claim(world.curves)
    run = make_run(claim, by=world.reviewer)
    client.force_login(world.reviewer)
    address = claim.get_absolute_url()
    jobs.cancel(world.reviewer, Job.objects.get(shards__evidence=run.evidence))
    html = client.get(address).content.decode()
    assert "Asked for, then stopped." in html
    assert "Try again" in html
    client.post(f"{address}run/")
    assert "Waiting for a worker" in client.get(address).content.decode()
    assert Run.objects.count() == 1


def test_withdrawing_is_the_authors_and_needs_a_reason(client, world):
    claim = make_claim(world.curves, world.contributor)
    address = claim.get_absolute_url()
    client.force_login(world.reviewer)
    assert client.post(f"{address}withdraw/", {"reason": "No."}).status_code == 403
    client.force_login(world.contributor)
    response = client.post(f"{address}withdraw/", {"reason": " "})
    assert response.status_code == 422
    assert "Say why" in response.content.decode()
    client.post(f"{address}withdraw/", {"reason": "A slip."})
    html = client.get(address).content.decode()
    assert "A slip." in html
    assert "This claim was withdrawn already." in html
    client.force_login(world.reviewer)
    assert "This claim was withdrawn: state it anew to test it." in client.get(address).content.decode()


def test_a_better_one_restates_it(send, client, world, address):
    send(change__0__do="scale", change__0__factor="0.5", seed="7")
    first = Claim.objects.get()
    anew = f"{address}&restates={first.public_id}"
    html = client.get(anew).content.decode()
    for words in ('value="0.5"', 'value="conv1:0, 1"', 'value="mixed3b/Curves"', first.sentence, 'value="7"'):
        assert words in html, words
    send(to=anew, sentence="Better put.", restates=first.public_id)
    second = Claim.objects.get(sentence="Better put.")
    assert second.restates == first
    assert "Put better in" in client.get(first.get_absolute_url()).content.decode()
    assert "It puts better what" in client.get(second.get_absolute_url()).content.decode()
    assert client.get(f"{address}&restates=nothing").status_code == 200


def test_a_networks_claims_by_what_became_of_them(client, world):
    held, fell, waits = (make_claim(world.curves, sentence=f"Claim {name}.") for name in ("one", "two", "three"))
    make_run(held, "supported")
    make_run(fell, "refuted")
    html = client.get("/networks/tinynet/claims/").content.decode()
    assert html.index("Claim three.") < html.index("Claim two.") < html.index("Claim one.")
    assert "waits for a reviewer to have it tested" in html
    for ruling, shown in {"supported": held, "refuted": fell, "untested": waits}.items():
        html = client.get(f"/networks/tinynet/claims/?ruling={ruling}").content.decode()
        assert re.findall("Claim [a-z]+", html) == [shown.sentence.rstrip(".")], ruling
    assert (
        "No claim here is inconclusive." in client.get("/networks/tinynet/claims/?ruling=inconclusive").content.decode()
    )
    assert client.get("/networks/tinynet/claims/?ruling=%00").status_code == 200
    assert client.get("/networks/nowhere/claims/").status_code == 404


def test_a_claim_stands_on_the_page_of_what_it_is_about(client, world):
    family = make_claim(world.curves, sentence="Curves bend.")
    make_run(family, "refuted")
    html = client.get(world.curves.get_absolute_url()).content.decode()
    assert "Curves bend." in html
    assert "refuted" in html.split("Curves bend.")[1][:200]
    settled = make_claim(neuron_at("3b:0"), sentence="Zero matters.")
    assert "Zero matters." in client.get(settled.neuron.get_absolute_url()).content.decode()
    reader = make_user(role=Role.EDITOR)
    client.force_login(reader)
    assert f"neuron=tinynet/{world.read.address}" not in client.get(world.read.get_absolute_url()).content.decode()


def test_a_claim_on_a_draft_is_for_its_authors(client, world):
    ada = make_user()
    claim = make_claim(make_note(world.network, ada), ada, "A secret.")
    run = make_run(claim, "supported", data=experiment(claim.plan))
    for address in (claim.get_absolute_url(), run.evidence.current.get_absolute_url()):
        assert client.get(address).status_code == 403
    for address in ("/networks/tinynet/claims/", "/jobs/", "/activity/", run.evidence.shard.job.get_absolute_url()):
        assert "A secret." not in client.get(address).content.decode(), address
    client.force_login(ada)
    assert "A secret." in client.get(claim.get_absolute_url()).content.decode()


def test_evidence_of_an_experiment_has_a_permalink_that_leads_to_its_claim(client, world):
    claim = make_claim(world.curves)
    version = make_run(claim, "supported", data=experiment(claim.plan)).evidence.current
    html = client.get(version.get_absolute_url()).content.decode()
    assert claim.get_absolute_url() in html
    assert f"./run manage state_claim --claim {claim.public_id} --run" in html
    assert "When the negative weights from" in html
    assert 'disabled title="Sign in to run experiments."' in html
    assert "Negative weights matter." in client.get(f"{version.get_absolute_url()}embed").content.decode()


def test_what_is_spoilt_is_said(client, world):
    claim = make_claim(world.curves)
    make_run(claim, "supported", data={"pairs": "none"})
    assert "spoilt there" in client.get(claim.get_absolute_url()).content.decode()


@pytest.mark.parametrize("verdict", ["supported", "refuted", "inconclusive"])
def test_who_stated_it_is_told_what_came_out(client, world, verdict):
    claim = make_claim(world.curves, world.contributor)
    make_run(claim, verdict)
    client.force_login(world.contributor)
    html = client.get("/notifications/").content.decode()
    assert "it is your claim" in html
    assert {"supported": "supported", "refuted": "refuted", "inconclusive": "which stays open"}[verdict] in html
    assert Notification.objects.filter(person=world.contributor, event__verb=f"claim.{verdict}").count() == 1


def test_no_more_queries_however_many_claims(client, world, django_assert_max_num_queries):
    family = make_claim(world.curves, world.contributor)
    make_run(family, "supported", data=experiment(family.plan))
    for number in range(12):
        make_run(make_claim(world.curves, sentence=f"Claim {number}."), "refuted" if number % 2 else "")
        make_claim(neuron_at("3b:0"), sentence=f"Claim {number}.")
        make_claim(make_note(world.network, published=True), sentence=f"Claim {number}.")
    client.get("/")
    for person in (None, world.contributor, world.reviewer):
        if person is not None:
            client.force_login(person)
        addresses = ["/networks/tinynet/claims/", family.get_absolute_url()]
        addresses += [world.curves.get_absolute_url(), neuron_at("3b:0").get_absolute_url()]
        addresses.append(f"/claims/new/?family={world.curves.public_id}&restates={family.public_id}")
        for address in addresses:
            with django_assert_max_num_queries(15, info=address):
                client.get(address)
        if person is not None:
            with django_assert_max_num_queries(15):
                client.post(f"/claims/new/preview/?family={world.curves.public_id}", SENTENCE)


@pytest.mark.django_db(transaction=True)
def test_the_sentence_is_written_with_its_preview_beside_it(visit, world):
    page = visit()
    page.goto("/")
    sign_in(page, world.contributor)
    page.goto(world.curves.get_absolute_url())
    page.get_by_role("link", name="State a claim").click()
    preview = page.locator("#preview")
    page.get_by_label("Weights from these neurons").fill("conv1:0, 9")
    expect(page.locator("#error-do")).to_have_text("conv1 has 4 neurons, counted from 0: there is no 9.")
    page.get_by_label("Weights from these neurons").fill("conv1:0, 1")
    expect(preview).to_contain_text("When the negative weights from conv1:0 and conv1:1 to Curves")
    expect(page.locator("#error-do")).to_have_text("")
    expect(page.get_by_label("Radii in pixels")).to_be_visible()
    page.get_by_label("What is shown").select_option("line")
    expect(page.get_by_label("Radii in pixels")).to_be_hidden()
    expect(preview).to_contain_text("lines at every 5 degrees")
    page.get_by_label("What is changed").select_option("drop")
    page.get_by_label("These neurons", exact=True).fill("conv1:2")
    expect(preview).to_contain_text("conv1:2 is silenced")
    page.get_by_label("What is claimed").fill("Edges hold curves up.")
    page.get_by_role("button", name="State the claim").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Edges hold curves up.")
    claim = Claim.objects.get()
    # A page that is open shows by itself what came out.
    sign_in(page, world.reviewer)
    page.reload()
    page.get_by_role("button", name="Have it tested").click()
    expect(page.locator("#test")).to_contain_text("Waiting for a worker")
    make_run(claim, "refuted", data=experiment(claim.plan, "refuted"))
    expect(page.locator("#test")).to_contain_text("It rises by 30 %")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_axe_finds_nothing(visit, world, address):
    claim = make_claim(world.curves, world.contributor, rationale="Why *not*.")
    run = make_run(claim, "supported", data=experiment(claim.plan))
    waiting = make_claim(world.curves, world.contributor, "It waits.")
    page = visit()
    page.goto("/")
    found = []
    for person in (world.contributor, world.reviewer):
        sign_in(page, person)
        for one in (claim, waiting, run.evidence.current):
            page.goto(one.get_absolute_url())
            found += check_each(page, f"{one} for a {person.role}")
        for where in ("/networks/tinynet/claims/", address, f"{address}&restates={claim.public_id}"):
            page.goto(where)
            page.wait_for_timeout(500)
            found += check_each(page, where)
    assert found == []


def test_the_command_states_runs_and_tells(world, tmp_path, capsys, monkeypatch):
    said = {
        "network": "tinynet",
        "family": "Curves",
        "kind": "causality",
        "sentence": "Negative weights keep curves quiet.",
        "plan": make_plan(measure={"what": "response", "of": "Curves"}),
    }
    file = tmp_path / "claim.json"
    file.write_text(json.dumps(said))
    call_command("state_claim", str(file), "--as", world.contributor.username)
    claim = Claim.objects.get()
    out = capsys.readouterr().out
    assert claim.get_absolute_url() in out
    assert "With 2 neurons it can only be inconclusive" in out
    secret = make_claim(make_note(world.network, ada := make_user()), ada, "A secret.")
    for wrong, sentence in (
        ({"plan": said["plan"] | {"show": {"kind": "images", "image_set": "pictures", "picturs": "all"}}}, "“picturs”"),
        ({"plan": said["plan"] | {"expect": {"change": "falls", "margin": 2, "relative": True}}}, "Nothing falls by"),
        ({"restates": str(secret.public_id)}, "draft"),
    ):
        file.write_text(json.dumps(said | {"sentence": "Otherwise."} | wrong))
        with pytest.raises(CommandError, match=sentence):
            call_command("state_claim", str(file), "--as", world.contributor.username)
    monkeypatch.setattr("time.sleep", lambda seconds: make_run(claim, "refuted"))
    call_command("state_claim", "--claim", str(claim.public_id), "--run", "--wait", "--as", world.reviewer.username)
    out = capsys.readouterr().out
    assert "Run 1 is under way." in out
    assert "Refuted: +0.3, from 0.2 to 0.4, n 6." in out
    assert claims.asks_for_another_run(claim) is False


def test_a_claim_is_discussed_on_its_page(client, world):
    claim = make_claim(world.curves, world.readers[0], "They are pure.")
    Neuron.objects.filter(index__in=(0, 1)).update(standing=Standing.ACCEPTED)  # so that feeds may tell of them
    address = claim.get_absolute_url()
    client.force_login(world.contributor)
    response = client.post(f"{address}discussion/", {"text": "By which *margin*?"})
    assert response.status_code == 302
    assert Notification.objects.get(person=world.readers[0], event__verb="comment.added").why == "stated"
    for page in (address, f"{address}discussion/", "/discussions/"):
        html = client.get(page).content.decode()
        assert "By which" in html, page
        assert "They are pure." in html, page
    assert "the claim <a" in client.get("/activity/").content.decode()
    client.logout()
    for feed in ("feed.atom", "discussion/feed.atom"):
        told = client.get(f"{address}{feed}")
        assert "By which margin?" in told.content.decode()
        assert "“They are pure.”, a claim about" in told.content.decode()
    assert "margin" not in client.get(f"{world.curves.get_absolute_url()}discussion/feed.atom").content.decode()
    assert "margin" not in client.get(f"{world.curves.get_absolute_url()}discussion/").content.decode()
    client.force_login(world.readers[0])  # who stated it may resolve what somebody else began
    said = Comment.objects.get()
    assert client.post(f"/comments/{said.public_id}/resolve/").status_code == 302
    assert Comment.objects.get().resolved_by == world.readers[0]


def test_what_is_said_about_a_claim_waits_as_the_claim_does(client, world):
    ada = make_user("ada")
    secret = make_claim(make_note(world.network, ada), ada, "A secret.")
    labels.reveal(world.readers[0], world.agreed)
    unread = make_claim(world.agreed, world.readers[0], "It is unread.", plan=make_plan([2]))
    for claim, person in ((secret, ada), (unread, world.readers[0])):
        discussions.add(person, claim, "Of lemurs.")
    for user in (None, world.contributor, world.reviewer, world.admin):
        if user:
            client.force_login(user)
        for claim in (secret, unread):
            said = claim.discussion.comments.get()
            for page in ("", "discussion/", "feed.atom", "discussion/feed.atom"):
                assert client.get(f"{claim.get_absolute_url()}{page}").status_code in (403, 404), page
            assert client.get(f"/comments/{said.public_id}/").status_code == 403
            if user:
                following = {"do": "subscribe", "subject": f"claim:{claim.public_id}"}
                assert client.post("/notifications/follow/", following).status_code == 403
        for page in (
            "/discussions/",
            "/activity/",
            "/activity/feed.atom",
            "/api/v1/comments/",
            "/moderation/?show=all",
        ):
            html = client.get(page).content.decode()
            assert "lemurs" not in html, page
            assert "A secret." not in html, page
            assert "It is unread." not in html, page
    client.force_login(world.admin)
    said = unread.discussion.comments.get()
    assert "lemurs" in client.get(f"/moderation/?show=all&look={said.public_id}").content.decode()
    assert Reveal.objects.filter(person=world.admin, neuron=world.agreed).exists()
    said = secret.discussion.comments.get()
    assert "A secret." not in client.get(f"/moderation/?show=all&look={said.public_id}").content.decode()


def test_who_follows_a_claim_hears_what_comes_of_it_and_who_muted_it_nothing(client, world):
    claim = make_claim(world.curves, world.readers[0])
    for user, verb in ((world.contributor, "subscribe"), (world.editor, "subscribe"), (world.editor, "mute")):
        client.force_login(user)
        following = {"do": verb, "subject": f"claim:{claim.public_id}"}
        assert client.post("/notifications/follow/", following).status_code == 302
    make_run(claim, "supported", data=experiment(claim.plan))
    told = Notification.objects.filter(event__verb="claim.supported").values_list("person", flat=True)
    assert {world.contributor.pk, world.readers[0].pk} <= set(told)
    assert world.editor.pk not in told
    html = client.get("/notifications/following/").content.decode()
    assert "Negative weights matter." in html


def test_a_neurons_page_does_not_tell_by_a_claim_of_another_that_waits(client, world):
    neuron, other = (world.layer.neurons.get(index=index) for index in (0, 1))
    plan = make_plan([0, 1])
    make_claim(neuron, world.editor, "Both are bent.", plan=plan)
    address = f"/networks/tinynet/mixed3b/{neuron.index}/"
    client.force_login(world.contributor)
    assert "Both are bent." in client.get(address).content.decode()
    gold.mark(world.editor, other, reason="Clear.")
    assert "Both are bent." not in client.get(address).content.decode()
