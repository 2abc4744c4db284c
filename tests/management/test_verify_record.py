"""verify_record: a world made through the actions verifies; what was changed past them is told in words."""

import io
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from taxonomy import storage
from taxonomy.actions import claims, families, labels, notes, people, proposals, reviews
from taxonomy.interchange import distill
from taxonomy.models import Artifact, Claim, Membership, Network, Neuron, Note, Review, Role, User
from tests.factory import (
    make_agreed,
    make_claim,
    make_evidence,
    make_label,
    make_network,
    make_note,
    make_run,
    make_user,
    neuron_at,
    submit_note,
)

pytestmark = pytest.mark.django_db


def verify(*words: str) -> str:
    out = io.StringIO()
    call_command("verify_record", *words, stdout=out)
    return out.getvalue()


def differences() -> str:
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"differences?: something was changed past the rules"):
        call_command("verify_record", stdout=out)
    return out.getvalue()


def tamper(table: str, change: str, where: str) -> None:
    """Past the rules and past the triggers, as only who owns the database can."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL session_replication_role = replica; UPDATE {table} SET {change} WHERE {where}")
        assert cursor.rowcount == 1
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


@pytest.fixture
def world() -> SimpleNamespace:
    """Neurons 0 and 1 imported; of the others each has gone another way through the state table."""
    network = make_network(layers={"mixed3b": 16})
    layer = network.layers.get()
    document = {"layer": "mixed3b", "source": "Elsewhere", "families": [{"name": "Curves", "units": [0, 1]}]}
    families.import_taxonomy(User.objects.system(), network, [distill.parse(document, "mixed3b")])
    curves = layer.families.get()
    reviewers = [make_user(role=Role.REVIEWER) for _ in range(2)]
    proposal = proposals.create(make_user(), layer, name="Lines", remark="Straight.")
    lines = proposals.accept(reviewers[0], proposal)
    people = [make_user() for _ in range(6)]
    at = {index: neuron_at(f"3b:{index}") for index in range(16)}
    make_label(at[2], people[0], curves)
    make_agreed(at[3], curves)
    make_agreed(at[4], curves)
    reviews.accept(reviewers[0], at[4])
    make_agreed(at[5], curves)
    reviews.accept(reviewers[0], at[5])
    reviews.undo(reviewers[1], at[5], comment="It is straight.")
    make_agreed(at[6], curves)
    reviews.object_to(reviewers[0], at[6], comment="No.")
    for person, family in zip(people, [curves, lines, curves, lines, curves], strict=False):
        make_label(at[7], person, family)
        make_label(at[8], person, family)
    editor = make_user(role=Role.EDITOR)
    seen = make_evidence(at[7]).current
    reviews.settle(editor, at[7], family=lines, comment="The weights say so.", cites=[seen])
    reviews.contest(editor, at[8], comment="Both.", cites=[make_evidence(at[8]).current])
    for person in people[:2]:
        make_label(at[9], person, verdict="cannot tell", missing_evidence="tuning_curves")
    for person in people[:3]:
        make_label(at[10], person, verdict="none of these", suggested_name="Eyes")
    labels.undo(people[0], make_label(at[11], people[0], curves))
    make_label(at[12], people[0], curves)
    make_label(at[12], people[0], lines)
    labels.undo(people[0], at[12].labels.current().get())  # the first reading is brought back
    for person in people[:3]:
        make_label(at[13], person, curves, polysemantic=True, further=[lines])
    reviews.accept(reviewers[0], at[13])
    make_agreed(at[14], curves)
    reviews.accept(reviewers[0], at[14])
    reviews.mark_stale(at[14], kind="tuning_curves", comment="Changed.", cites=[])
    reviews.undo(reviewers[0], at[1], comment="The import was wrong.")
    return SimpleNamespace(network=network, at=at, curves=curves, lines=lines, people=people, reviewers=reviewers)


def test_a_world_made_through_the_actions_verifies(world) -> None:
    said = verify()
    assert "16 neurons" in said
    assert "all as the record says" in said
    assert verify("--network", "tinynet").startswith("tinynet: ")
    standings = set(Neuron.objects.values_list("standing", flat=True))
    assert standings == {
        *("accepted", "contested", "stale", "agreed", "needs evidence", "needs family", "single", "unlabelled"),
    }
    assert Membership.objects.filter(neuron=world.at[13], ended_at=None).count() == 2


def test_labels_that_follow_an_accepted_family_verify(world) -> None:
    neuron = Neuron.objects.get(pk=world.at[10].pk)
    proposal = proposals.create(world.reviewers[1], neuron.layer, name="Eyes", remark="Round.", neurons=[neuron])
    eyes = proposals.accept(world.reviewers[0], proposal)
    assert set(neuron.labels.current().values_list("family", flat=True)) == {eyes.pk}
    assert "all as the record says" in verify()


def test_a_standing_changed_in_the_database(world) -> None:
    tamper("taxonomy_neuron", "standing = 'accepted'", f"id = {world.at[3].pk}")
    sentence = "standing: tinynet/mixed3b:3: standing is stored as accepted, and the record makes it agreed."
    assert sentence in differences()


def test_readings_and_asks_changed_in_the_database(world) -> None:
    tamper("taxonomy_neuron", "readings = 5, asks = 9", f"id = {world.at[2].pk}")
    said = differences()
    assert "readings is stored as 5, and the record makes it 1." in said
    assert "asks is stored as 9, and the record makes it 3." in said


def test_a_membership_ended_in_the_database(world) -> None:
    member = Membership.objects.get(neuron=world.at[4])
    tamper("taxonomy_membership", "ended_at = now()", f"id = {member.pk}")
    assert f"membership {member.pk} in Curves is stored as ended, and the record makes it current." in differences()


def test_a_membership_moved_in_the_database(world) -> None:
    member = Membership.objects.get(neuron=world.at[4])
    tamper("taxonomy_membership", f"family_id = {world.lines.pk}", f"id = {member.pk}")
    assert "puts it into Curves, its memberships differ." in differences()


def test_an_imported_membership_that_no_import_told(world) -> None:
    Membership.objects.create(neuron=world.at[15], family=world.curves, made_by=world.people[0])
    said = differences()
    assert "3 neurons were put into it by no decision, and its imports tell of 2." in said
    assert "standing is stored as unlabelled, and the record makes it accepted." in said


def test_a_label_superseded_without_an_event(world) -> None:
    label = world.at[2].labels.get()
    tamper("taxonomy_label", "superseded_at = now()", f"id = {label.pk}")
    assert f"label {label.pk} is stored as superseded, and the record makes it current." in differences()


def test_a_label_taken_back_without_an_event(world) -> None:
    label = world.at[2].labels.get()
    tamper("taxonomy_label", "superseded_at = now(), undone_at = now()", f"id = {label.pk}")
    assert "is stored as taken back, and the events say otherwise." in differences()


def test_a_label_changed_in_the_database(world) -> None:
    label = world.at[3].labels.order_by("pk").first()
    tamper("taxonomy_label", f"family_id = {world.lines.pk}", f"id = {label.pk}")
    assert "standing is stored as agreed, and the record makes it open." in differences()


def test_an_acceptance_whose_labels_were_changed(world) -> None:
    label = world.at[4].labels.order_by("pk").first()
    tamper("taxonomy_label", f"family_id = {world.lines.pk}", f"id = {label.pk}")
    assert "accepts a family for which the labels of its tally do not qualify." in differences()


def test_a_label_and_a_decision_without_their_events(world) -> None:
    label = world.at[2].labels.get()
    review = Review.objects.get(neuron=world.at[4])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM taxonomy_notification")
        cursor.execute("DELETE FROM taxonomy_event WHERE label_id = %s OR review_id = %s", [label.pk, review.pk])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    said = differences()
    assert f"label {label.pk} is told by no event." in said
    assert f"decision {review.pk} (accept) is told by no event." in said


@pytest.fixture
def claim() -> Claim:
    """Tested twice, as its network's weights were changed between; another one was withdrawn."""
    network = make_network("deep")
    note = make_note(network, published=True)
    claim = make_claim(note)
    make_run(claim, "supported")
    Network.objects.filter(pk=network.pk).update(weights_digest="v" * 64)
    claim = Claim.objects.get(pk=claim.pk)
    make_run(claim, "refuted")
    withdrawn = make_claim(note, sentence="None matter.")
    claims.withdraw(withdrawn.author, withdrawn, reason="They do.")
    return claim


def test_claims_and_what_their_runs_found_verify(claim: Claim) -> None:
    said = verify()
    assert "2 claims, 2 runs" in said
    assert "all as the record says" in said


@pytest.mark.parametrize(
    ("table", "change", "sentence"),
    [
        ("claim", "sentence = 'Nothing matters.'", "is not what was stated: its words, subject, pictures or plan"),
        ("claim", "rationale = 'Forged.'", "is not what was stated"),
        ("claim", "restates_id = id + 1", "is not what was stated"),
        ("claim", "note_id = NULL, neuron_id = (SELECT min(id) FROM taxonomy_neuron)", "is not what was stated"),
        ("claim", "plan = jsonb_set(plan, '{expect,change}', '\"falls\"')", "run 1: tested another plan than"),
        ("claim", "withdrawn_at = now()", "is stored as withdrawn, and the events say otherwise."),
        ("run", "ruling = 'refuted'", "run 1: is stored as refuted, and the events say otherwise."),
        ("run", "ruling = 'refuted'", "run 1: verdict is stored as refuted, and its evidence says supported."),
        ("run", "effect = 3", "run 1: effect is stored as 3.0, and its evidence says 0.3."),
        ("run", "ruling = '', effect = NULL", "run 1: is stored as without a ruling, and the events say otherwise."),
        ("run", "number = 7", "run 7: stands where run 2 should."),
    ],
)
def test_a_claim_or_a_run_changed_in_the_database(claim: Claim, table: str, change: str, sentence: str) -> None:
    row = claim if table == "claim" else claim.runs.get(number=1)
    tamper(f"taxonomy_{table}", change, f"id = {row.pk}")
    assert sentence in differences()


def test_a_claim_is_kept_as_about_other_neurons(claim: Claim) -> None:
    row = claim.neurons.through.objects.filter(claim=claim).first()
    other = Neuron.objects.exclude(named_by=claim).filter(layer__network=claim.network).first()
    tamper("taxonomy_claim_neurons", f"neuron_id = {other.pk}", f"id = {row.pk}")
    assert "is kept as being about other neurons than its own and those that its plan names." in differences()


def test_a_note_is_opened_with_an_earlier_version(note: Note) -> None:
    tamper("taxonomy_note", "opened_with = 2", f"id = {note.pk}")
    assert "first version that all may read is stored as 2, and the events make it 1." in differences()


def test_what_was_asked_for_is_another_plan(claim: Claim) -> None:
    shard = claim.runs.get(number=2).evidence.shard
    tamper("taxonomy_shard", "parameters = jsonb_set(parameters, '{plan,seed}', '1')", f"id = {shard.pk}")
    assert "run 2: tested another plan than" in differences()


@pytest.fixture
def note() -> Note:
    """Written by two, of three who were asked, sent back once, published, corrected; superseded by one with a DOI."""
    network = make_network("deep")
    ada, bela, editor = make_user("ada"), make_user("bela"), make_user(role=Role.EDITOR)
    note = make_note(network, ada, bela)
    for person in (make_user("chidi"), make_user("dunya", password="brass-lantern-42")):
        notes.ask(ada, note, person)
    notes.leave(User.objects.get(username="chidi"), note)
    people.erase(User.objects.get(username="dunya"), User.objects.get(username="dunya"), proof="brass-lantern-42")
    submit_note(ada, note)
    notes.decide(editor, note, version=1, decision="request changes", comment="Which curves?")
    for number, text in enumerate(("Early curves.", "Late curves."), 1):
        notes.save(bela, note, began_from=number, body=text, summary="Which curves it speaks of.")
        submit_note(bela, note)
        notes.decide(editor, note, version=number + 1, decision="approve")
    later = make_note(network, ada, published=True, title="Curves, better")
    notes.give_doi(ada, later, "10.1234/curves")
    notes.ask(ada, later, make_user("emre"))
    notes.supersede(ada, note, later)
    submit_note(ada, make_note(network, ada, about=later, title="On curves"))
    notes.withdraw(ada, make_note(network, ada, title="Lines"), reason="They are edges.")
    return Note.objects.get(pk=note.pk)


def test_notes_and_who_decided_on_them_verify(note: Note) -> None:
    said = verify()
    assert "4 notes, 6 note versions" in said
    assert "all as the record says" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("submitted_id = published_id", "version in review is stored as 3, and the events make it None."),
        (
            "published_id = (SELECT id FROM taxonomy_noteversion WHERE note_id = taxonomy_note.id AND number = 2)",
            "published version is stored as 2, and the events make it 3.",
        ),
        ("number = 7", "number is stored as 7, and the events make it 1."),
        ("corrected_at = NULL", "corrected is stored as False, and the events make it True."),
        ("withdrawn_at = now()", "withdrawn is stored as True, and the events make it False."),
        ("superseded_by_id = NULL", "superseded by is stored as None, and the events make it"),
        ("doi = '10.1/x'", "DOI is stored as 10.1/x, and the events make it ."),
    ],
)
def test_a_note_changed_in_the_database(note: Note, change: str, sentence: str) -> None:
    tamper("taxonomy_note", change, f"id = {note.pk}")
    assert sentence in differences()


@pytest.mark.parametrize(
    ("table", "change", "where", "sentence"),
    [
        ("authorship", "agreed_at = now()", "agreed_at IS NULL AND ended_at IS NULL", "not those who agreed"),
        ("authorship", "ended_at = now()", "agreed_at IS NULL AND ended_at IS NULL", "asked to be an author are not"),
        ("notereview", "decision = 'approve'", "decision = 'request changes'", "its decisions “approve” are not"),
        ("noteversion", "number = 9", "number = 2", "versions is stored as [1, 3, 9], and the events make it"),
    ],
)
def test_what_belongs_to_a_note_changed_in_the_database(
    note: Note, table: str, change: str, where: str, sentence: str
) -> None:
    tamper(f"taxonomy_{table}", change, where)
    assert sentence in differences()


def test_an_author_who_decided_on_the_note(note: Note) -> None:
    editor = User.objects.get(role=Role.EDITOR, note_reviews__decision="request changes")
    author = note.authorships.named().get(order=1)
    tamper("taxonomy_authorship", f"person_id = {editor.pk}", f"id = {author.pk}")
    assert "one of its authors decided on it." in differences()


def test_the_numbers_of_an_experiment_are_missing(claim: Claim) -> None:
    for artifact in Artifact.objects.filter(version__evidence__claim=claim, version__evidence__run__number=2):
        storage.path(artifact.sha256).unlink()
    assert "run 2: the file with its numbers is not there." in differences()


def test_a_need_met_in_the_database(world) -> None:
    need = world.at[9].needs.get()
    tamper("taxonomy_need", "met_at = now()", f"id = {need.pk}")
    assert "1 needs of tuning_curves are stored as met, and the events tell of 0." in differences()


def test_as_many_queries_for_many_neurons_as_for_few(world, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(21):
        verify()


def test_there_is_no_such_network(world) -> None:
    with pytest.raises(CommandError, match=r"There is no network 'x' here\. Networks: tinynet"):
        verify("--network", "x")
