"""People and workers at the same instant: one of them wins, the other gets a sentence, and nobody deadlocks."""

import datetime
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from taxonomy import storage
from taxonomy.actions import (
    discussions,
    evidence,
    gold,
    jobs,
    labels,
    leases,
    overlaps,
    people,
    proposals,
    reviews,
    sheets,
    surveys,
)
from taxonomy.actions.evidence import LeaseLost
from taxonomy.actions.families import import_taxonomy
from taxonomy.actions.networks import register
from taxonomy.interchange.distill import FamilyRecord, LayerRecord
from taxonomy.models import (
    Comment,
    Event,
    Evidence,
    Family,
    Job,
    Label,
    Layer,
    Lease,
    Membership,
    Network,
    Outcome,
    Reveal,
    Role,
    Shard,
    Sheet,
    User,
)
from taxonomy.permissions import Refused
from tests.factory import (
    make_agreed,
    make_family,
    make_image_set,
    make_network,
    make_pictured,
    make_proposal,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Start all of them at the same moment, each on a connection of its own; what each gave, or raised."""
    barrier = Barrier(len(calls))
    found: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            found[place] = call()
        except Exception as error:  # noqa: BLE001 - handed to the test
            found[place] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


def wins_once(found: Sequence[Any], sentence: str, refusal: type[Exception] = ValidationError) -> None:
    won = [answer for answer in found if not isinstance(answer, Exception)]
    lost = [answer for answer in found if isinstance(answer, Exception)]
    assert len(won) == 1, found
    for error in lost:
        assert isinstance(error, refusal), repr(error)
        assert sentence in str(error)


@pytest.fixture
def layer() -> Layer:
    return make_network().layers.get(name="mixed3b")


def test_two_reviewers_accept_a_neuron(layer: Layer) -> None:
    neuron, family = neuron_at("mixed3b:1", layer.network), make_family(layer)
    make_agreed(neuron, family)
    reviewers = [make_user(role=Role.REVIEWER) for _ in range(4)]
    found = at_once(*(lambda user=user: reviews.accept(user, neuron) for user in reviewers))
    wins_once(found, "already accepted", Refused)
    assert Membership.objects.count() == 1


def test_a_proposal_is_accepted_rejected_and_withdrawn(layer: Layer) -> None:
    proposal = make_proposal(layer)
    first, second = make_user(role=Role.REVIEWER), make_user(role=Role.EDITOR)
    found = at_once(
        lambda: proposals.accept(first, proposal),
        lambda: proposals.reject(second, proposal, comment="No."),
        lambda: proposals.withdraw(proposal.author, proposal),
    )
    wins_once(found, "already", Refused)
    assert Event.objects.filter(proposal=proposal).count() == 1


def test_a_double_click_labels_once(layer: Layer) -> None:
    neuron, family, user = neuron_at("mixed3b:1", layer.network), make_family(layer), make_user()
    found = at_once(*[lambda: labels.add(user, neuron, verdict="family", family=family)] * 4)
    assert {label.pk for label in found} == {Label.objects.get().pk}


def test_a_name_is_proposed_once(layer: Layer) -> None:
    authors = [make_user() for _ in range(6)]
    found = at_once(
        *(lambda user=user: proposals.create(user, layer, name="Curves", remark="Bent.") for user in authors)
    )
    wins_once(found, "proposed for mixed3b already")


def test_a_name_becomes_one_family(layer: Layer) -> None:
    """Two proposals of one name stood open (before the rule, or by an import): one family comes of them."""
    reviewer = make_user(role=Role.REVIEWER)
    twins = [make_proposal(layer, name=name) for name in ("Curves", "curves", "CURVES")]
    found = at_once(*(lambda proposal=proposal: proposals.accept(reviewer, proposal) for proposal in twins))
    wins_once(found, "already")
    assert Family.objects.count() == 1


def test_a_taxonomy_is_imported_once(layer: Layer) -> None:
    editor = make_user(role=Role.EDITOR)
    records = [LayerRecord("a.json", name, [FamilyRecord("Curves", [0, 1])]) for name in ("mixed3b", "conv1")]
    found = at_once(
        lambda: import_taxonomy(editor, layer.network, records),
        lambda: import_taxonomy(editor, layer.network, records[::-1]),
        lambda: import_taxonomy(editor, layer.network, records),
    )
    wins_once(found, "already")
    assert Family.objects.count() == 2


def test_a_network_is_registered_once() -> None:
    admin = make_user(role=Role.ADMIN)
    description = {
        "architecture": "tiny",
        "weights_digest": "",
        "preprocessing": {},
        "class_names": [],
        "layers": [{"name": "a", "order": 0, "channels": 2, "branches": [["", 2]], "fields": [{}]}],
    }
    found = at_once(*[lambda: register(admin, name="tiny", description=description)] * 4)
    wins_once(found, "already")
    assert Network.objects.get().layers.count() == 1


def test_a_token_is_renewed_twice() -> None:
    user = make_user()
    found = at_once(*[lambda: people.issue_token(user)] * 6)
    assert all(isinstance(key, str) for key in found), found


def test_two_admins_appoint_each_other() -> None:
    for _ in range(10):
        one, two = make_user(role=Role.ADMIN), make_user(role=Role.ADMIN)
        found = at_once(
            lambda one=one, two=two: people.appoint(one, two, Role.EDITOR, reason="a"),
            lambda one=one, two=two: people.appoint(two, one, Role.EDITOR, reason="b"),
        )
        assert all(isinstance(answer, (User, Refused)) for answer in found), found


def test_readings_are_revealed_twice(layer: Layer) -> None:
    user, neurons = make_user(), list(layer.neurons.all())
    for _ in range(10):
        Reveal.objects.all().delete()
        found = at_once(lambda: labels.reveal(user, *neurons), lambda: labels.reveal(user, *neurons[::-1]))
        assert found == [None, None]


def test_workers_that_hear_bells_at_once_take_different_shards() -> None:
    network = make_network(layers={"conv1": 100, "mixed3b": 100})
    evidence.request(make_user(), network, kinds=["tuning_curves"])
    found = at_once(*[lambda: jobs.claim("w")] * 12)
    assert len({claim.shard.pk for claim in found}) == Shard.objects.count() == 12
    assert at_once(*[lambda: jobs.claim("w")] * 2) == [None, None]


def test_requests_cancels_retries_and_workers_do_not_deadlock() -> None:
    """Some seconds of everything that locks jobs, shards and evidence, over the same few neurons."""
    network = make_network(layers={"conv1": 40, "mixed3b": 40})
    layers = list(network.layers.all())
    admin, artifact = make_user(role=Role.ADMIN), evidence.Made("data", storage.put(b"{}"), ".json", 2)
    until = time.monotonic() + 4
    kinds = ["tuning_curves", "weights", "feature_visualization", "dataset_examples", "activation_histogram"]
    image_sets = [make_image_set(count=200)]

    def ask(chance: random.Random) -> None:
        chosen = chance.sample(layers, chance.choice([1, 2]))
        images, numbers = chance.choice(image_sets), chance.sample(range(40), 9)
        evidence.request(
            make_user(), network, layers=chosen, neurons=numbers, kinds=chance.sample(kinds, 3), image_set=images
        )

    def steer(chance: random.Random) -> None:
        job = Job.objects.order_by("?").first()
        if job is not None:
            chance.choice((jobs.cancel, jobs.retry))(admin, job)

    def work(chance: random.Random) -> None:
        claim = jobs.claim("w")
        if claim is None:
            return
        if claim.shard.kind == "survey" and chance.random() < 0.5:
            parts = [surveys.Part(layer, "0" * 64, 1) for layer in claim.shard.parameters["layers"]]
            surveys.record(claim.shard.pk, claim.token, parts, {})
        elif claim.shard.kind == "survey":
            jobs.give_up(claim.shard.pk, claim.token, "Enough.")
            return
        for target in claim.targets:
            if chance.random() < 0.3:
                evidence.fail(target.pk, claim.token, "No.")
            else:
                evidence.complete(target.pk, claim.token, [artifact], environment={}, wall_seconds=0)
        if chance.random() < 0.5:
            jobs.finish(claim.shard.pk, claim.token)
        else:
            jobs.give_up(claim.shard.pk, claim.token, "Enough.")

    def keep(act: Callable[[random.Random], None], seed: int) -> Counter[str]:
        chance, seen = random.Random(seed), Counter[str]()
        while time.monotonic() < until:
            try:
                act(chance)
                seen["done"] += 1
            except (Refused, LeaseLost) as error:
                seen[type(error).__name__] += 1
        return seen

    acts = (ask, ask, steer, steer, work, work, work, lambda chance: jobs.reap())
    found = at_once(*(lambda act=act, seed=seed: keep(act, seed) for seed, act in enumerate(acts)))
    assert all(isinstance(seen, Counter) for seen in found), found
    assert all(row.versions.count() == 1 for row in Evidence.objects.filter(status=Outcome.DONE))


def test_a_comment_sent_twice_at_once_is_one() -> None:
    make_network()
    family, user = make_family(neuron_at("mixed3b:3").layer), make_user()
    found = at_once(*[lambda: discussions.add(user, family, "It bends.")] * 4)
    assert len({comment.pk for comment in found}) == 1, found
    assert Event.objects.filter(verb="comment.added").count() == 1


def test_many_comments_at_once_are_counted(settings) -> None:
    settings.COMMENTS_A_MINUTE = 2
    make_network()
    family, user = make_family(neuron_at("mixed3b:3").layer), make_user()
    found = at_once(*[lambda n=n: discussions.add(user, family, f"Number {n}") for n in range(6)])
    assert Counter(type(one) for one in found) == {Comment: 2, Refused: 4}


def test_people_who_mention_each_other_at_once_wait_for_nobody() -> None:
    make_network()
    family = make_family(neuron_at("mixed3b:3").layer)
    ada, bela = make_user("ada"), make_user("bela")
    say = discussions.add
    found = at_once(*[lambda: say(ada, family, "And you, @bela?"), lambda: say(bela, family, "And you, @ada?")] * 2)
    assert Counter(type(one) for one in found) == {Comment: 4}
    assert (Comment.objects.count(), ada.notifications.count(), bela.notifications.count()) == (2, 1, 1)


# The queue


@pytest.fixture
def pictured(layer: Layer) -> Layer:
    make_pictured(layer.neurons.all())
    return layer


def test_no_more_leases_than_asked(pictured: Layer) -> None:
    pictured.neurons.exclude(index=0).update(asks=0)
    users = [make_user() for _ in range(8)]
    found = [*at_once(*(lambda user=user: leases.take(user) for user in users))]
    for user in users:  # who found the neuron locked comes again
        leases.take(user)
    assert not [answer for answer in found if isinstance(answer, Exception)], found
    assert Lease.objects.live().count() == 3


def test_two_tabs_take_two_neurons_and_both_stay_in_hand(pictured: Layer) -> None:
    user = make_user()
    found = at_once(*[lambda: leases.take(user)] * 2)
    assert len({lease.neuron_id for taken in found for lease in taken}) == Lease.objects.live().count()
    assert Lease.objects.live().count() in (1, 2)


def test_a_submission_sent_twice_at_once(pictured: Layer) -> None:
    user, family, key = make_user(), make_family(pictured), uuid.uuid4()
    (lease,) = leases.take(user)
    said = {"verdict": "family", "family": family, "submission": key, "lease": lease.token}
    found = at_once(*[lambda: labels.add_and_take(user, lease.neuron, **said)] * 4)
    assert {label.pk for label, _ in found} == {Label.objects.get().pk}
    assert Lease.objects.live().count() <= 4


def test_two_sheets_of_one_person_are_one(pictured: Layer) -> None:
    user = make_user()
    found = at_once(*[lambda: sheets.take(user, pictured)] * 3)
    assert {sheet.pk for sheet in found} == {Sheet.objects.get().pk}
    assert Lease.objects.live().count() == 8


def test_a_sheet_sent_twice_at_once(pictured: Layer) -> None:
    user, family, key = make_user(), make_family(pictured), uuid.uuid4()
    sheet = sheets.take(user, pictured)
    chosen = [lease.neuron for lease in sheets.leases_of(sheet)][:5]
    send = lambda: sheets.submit(user, sheet, chosen, submission=key, verdict="family", family=family)  # noqa: E731
    found = at_once(*[send] * 3)
    assert {tuple(label.pk for label in given) for given in found} == {
        tuple(Label.objects.order_by("pk").values_list("pk", flat=True))
    }


def test_a_block_waits_for_a_sheet_in_use_and_not_the_sheet_for_it(pictured: Layer) -> None:
    """Sheets are locked before their leases, by whoever ends them."""
    admin, user = make_user(role=Role.ADMIN), make_user()
    sheet = sheets.take(user, pictured)

    def put_down() -> None:
        with transaction.atomic():
            Sheet.objects.select_for_update(no_key=True).get(pk=sheet.pk)
            with connection.cursor() as cursor:
                for _ in range(3_000):
                    cursor.execute(
                        "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
                    )
                    if cursor.fetchone()[0]:
                        break
                    time.sleep(0.01)
            sheets.give_back(user, sheet)

    found = at_once(put_down, lambda: people.block(admin, user, reason="Spam."))
    assert not [answer for answer in found if isinstance(answer, Exception)], found
    assert not Lease.objects.live().exists()


def test_gold_drawn_in_two_tabs_is_lent_once(pictured: Layer, monkeypatch) -> None:
    neuron = neuron_at("mixed3b:1", pictured.network)
    make_agreed(neuron, make_family(pictured))
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    gold.mark(make_user(role=Role.EDITOR), neuron, "Clear.")
    monkeypatch.setattr(leases.secrets, "randbelow", lambda below: 0)
    for _ in range(20):
        user = make_user()
        found = at_once(*[lambda user=user: leases.take(user)] * 4)
        assert not [answer for answer in found if isinstance(answer, Exception)], found
        assert Lease.objects.filter(person=user, gold=True).count() <= 1
        Lease.objects.all().delete()


def test_a_neuron_is_marked_gold_once(layer: Layer) -> None:
    neuron = neuron_at("mixed3b:1", layer.network)
    make_agreed(neuron, make_family(layer))
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    editors = [make_user(role=Role.EDITOR) for _ in range(3)]
    found = at_once(*(lambda editor=editor: gold.mark(editor, neuron, "Clear.") for editor in editors))
    wins_once(found, "gold already", Refused)


def test_undo_against_a_reveal_and_a_change(layer: Layer) -> None:
    """Whoever comes second is told why; the record holds one of the three stories."""
    neuron, family = neuron_at("mixed3b:1", layer.network), make_family(layer)
    lines = make_family(layer, "Lines")
    for _ in range(5):
        user = make_user()
        label = labels.add(user, neuron, verdict="family", family=family)
        found = at_once(
            lambda user=user, label=label: labels.undo(user, label),
            lambda user=user: labels.show_others(user, neuron),
            lambda user=user: labels.add(user, neuron, verdict="family", family=lines),
        )
        assert all(not isinstance(answer, Exception) or isinstance(answer, Refused) for answer in found), found
        assert Label.objects.current().filter(author=user).count() <= 1


def test_two_windows_that_find_the_same_sheet_done_get_one_new_one(layer: Layer) -> None:
    make_pictured(layer.neurons.all())
    user = make_user()
    old = sheets.take(user, layer)
    assert old is not None
    old.leases.update(ended_at=timezone.now() - datetime.timedelta(hours=2))  # nothing of it is left to renew

    def hold() -> None:
        with transaction.atomic():
            Sheet.objects.select_for_update(of=["self"]).get(pk=old.pk)
            time.sleep(0.5)  # both have found it by then, and wait for it

    def take() -> Sheet | None:
        time.sleep(0.1)
        return sheets.take(user, layer)

    _, one, other = at_once(hold, take, take)
    assert isinstance(one, Sheet), one
    assert one == other
    assert one != old


def test_labels_sheets_overlaps_and_undos_do_not_deadlock(layer: Layer) -> None:
    """Some seconds of everything that locks neurons, sheets and leases, over the same few neurons."""
    make_pictured(layer.neurons.all())
    families = [make_family(layer, name) for name in ("Curves", "Lines")]
    editor, users = make_user(role=Role.EDITOR), [make_user() for _ in range(4)]
    until = time.monotonic() + 4

    def single(chance: random.Random) -> None:
        user = chance.choice(users)
        for lease in leases.take(user, count=2):
            said = {"verdict": "family", "family": chance.choice(families), "lease": lease.token}
            label, _ = labels.add_and_take(user, lease.neuron, submission=uuid.uuid4(), **said)
            if chance.random() < 0.5:
                labels.undo(user, label)

    def sheet(chance: random.Random) -> None:
        user = chance.choice(users)
        found = sheets.take(user, layer)
        if found is None:
            return
        chosen = [lease.neuron for lease in sheets.leases_of(found)]
        chance.shuffle(chosen)
        if chosen and chance.random() < 0.7:
            said = {"verdict": "family", "family": chance.choice(families), "submission": uuid.uuid4()}
            for label in sheets.submit(user, found, chosen[:3], **said):
                labels.undo(user, label)
        else:
            sheets.give_back(user, found)

    def steer(chance: random.Random) -> None:
        overlaps.change(editor, layer, chance.choice([3, 5, 9]))

    def keep(act: Callable[[random.Random], None], seed: int) -> Counter[str]:
        chance, seen = random.Random(seed), Counter[str]()
        while time.monotonic() < until:
            try:
                act(chance)
                seen["done"] += 1
            except (Refused, ValidationError) as error:
                seen[type(error).__name__] += 1
        return seen

    acts = (single, single, single, sheet, sheet, steer)
    found = at_once(*(lambda act=act, seed=seed: keep(act, seed) for seed, act in enumerate(acts)))
    assert all(isinstance(seen, Counter) for seen in found), found
    for neuron in layer.neurons.all():
        assert neuron.readings == neuron.labels.current().count()
