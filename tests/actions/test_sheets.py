"""The sorting sheet: similar neurons in one person's hands, read alike, all or none."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from taxonomy.actions import labels, leases, reviews, sheets
from taxonomy.models import Family, Label, Layer, Lease, Likeness, Neuron, Role, Sheet, Standing, Vector
from taxonomy.permissions import Refused
from tests.factory import make_agreed, make_evidence, make_family, make_label, make_network, make_pictured, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer() -> Layer:
    found = make_network(layers={"conv1": 4, "mixed3b": 30}).layers.get(name="mixed3b")
    make_pictured(found.neurons.all())
    return found


@pytest.fixture
def curves(layer: Layer) -> Family:
    return make_family(layer, "Curves")


def at(layer: Layer, *found: int) -> list[Neuron]:
    return list(layer.neurons.select_related("layer__network").filter(index__in=found))


def indices(sheet: Sheet | None) -> list[int]:
    assert sheet is not None
    return [lease.neuron.index for lease in sheets.leases_of(sheet)]


def submit(user, sheet: Sheet, neurons: list[Neuron], family: Family | None = None, **more) -> list[Label]:
    reading = {"verdict": "family", "family": family, "submission": uuid.uuid4()} | more
    return sheets.submit(user, sheet, neurons, **reading)


def point(layer: Layer, index: int, *values: float, likeness: str = Likeness.ACTIVATION) -> None:
    (neuron,) = at(layer, index)
    evidence = make_evidence(neuron, "neighbours", parameters={"likeness": likeness}, data={})
    whole = [*values, *[0.0] * (Vector.DIMENSIONS - len(values))]
    Vector.objects.create(evidence=evidence, neuron=neuron, likeness=likeness, values=whole)


def test_twenty_four_by_index_where_nothing_is_known_of_them(layer: Layer) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    assert indices(sheet) == list(range(24))
    assert Lease.objects.live().filter(person=user, sheet=sheet).count() == 24


def test_the_neediest_first_then_those_like_it(layer: Layer, curves: Family) -> None:
    make_agreed(at(layer, 9)[0], curves, people=2)
    point(layer, 9, 1, 0)
    point(layer, 20, 1, 0.1)
    point(layer, 3, 0, 1)
    point(layer, 28, 1, 0.5)
    assert indices(sheets.take(make_user(), layer))[:5] == [9, 20, 28, 3, 0]


@pytest.mark.parametrize("likeness", [Likeness.ROTATION, Likeness.WEIGHTS])
def test_likeness_of_another_kind_where_there_is_none_by_activation(layer: Layer, likeness: str) -> None:
    for index, values in ((0, (1, 0)), (1, (0, 1)), (29, (1, 0.1))):
        point(layer, index, *values, likeness=likeness)
    assert indices(sheets.take(make_user(), layer))[:3] == [0, 29, 1]


def test_the_open_sheet_comes_again_with_its_time_renewed(layer: Layer) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    Lease.objects.update(expires_at=timezone.now())
    assert sheets.take(user, layer) == sheet
    assert Lease.objects.live().count() == 24
    conv = layer.network.layers.get(name="conv1")
    make_pictured(conv.neurons.all())
    assert indices(sheets.take(user, conv)) == [0, 1, 2, 3]
    assert Sheet.objects.filter(ended_at=None).count() == 2


def test_what_others_took_meanwhile_is_off_the_sheet(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheets.take(user, layer)
    Lease.objects.update(expires_at=timezone.now())
    Neuron.objects.filter(layer=layer, index=0).update(asks=0)
    make_agreed(at(layer, 1)[0], curves)
    reviews.accept(make_user(role=Role.REVIEWER), at(layer, 1)[0])
    assert indices(sheets.take(user, layer)) == list(range(2, 24))
    layer.neurons.update(asks=0)
    Lease.objects.update(expires_at=timezone.now())
    assert sheets.take(user, layer) is None
    assert not Sheet.objects.filter(ended_at=None).exists()


def test_nothing_to_sort_leaves_no_sheet_behind(layer: Layer) -> None:
    layer.neurons.update(asks=0)
    assert sheets.take(make_user(), layer) is None
    assert not Sheet.objects.exists()


def test_leases_of_a_sheet_count_like_any_other(layer: Layer) -> None:
    Neuron.objects.filter(layer=layer).update(asks=1)
    user = make_user()
    sheet = sheets.take(user, layer)
    assert indices(sheets.take(make_user(), layer)) == [24, 25, 26, 27, 28, 29]
    assert leases.take(make_user(), layer=layer) == []
    assert leases.take(user, layer=layer) == []  # what lies on the sheet is not handed out singly as well
    sheets.give_back(user, sheet)
    assert [lease.neuron.index for lease in leases.take(make_user(), layer=layer)] == [0]


def test_what_one_holds_singly_is_not_on_the_sheet(layer: Layer) -> None:
    user = make_user()
    leases.take(user, layer=layer)
    assert indices(sheets.take(user, layer)) == list(range(1, 25))


def test_some_are_read_alike_and_the_rest_stay(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    given = submit(user, sheet, at(layer, 2, 5, 7), curves, note="bends")
    assert [(label.neuron.index, label.family, label.blind, label.note) for label in given] == [
        (index, curves, True, "bends") for index in (2, 5, 7)
    ]
    assert indices(sheet) == [index for index in range(24) if index not in (2, 5, 7)]
    assert {neuron.standing for neuron in at(layer, 2, 5, 7)} == {Standing.SINGLE}
    assert {lease.label for lease in Lease.objects.filter(ended_at__isnull=False)} == set(given)
    assert indices(sheets.take(user, layer)) == indices(sheet)


def test_only_what_was_seen_of_each_is_pinned_to_it(layer: Layer, curves: Family) -> None:
    user, (first, second) = make_user(), at(layer, 0, 1)
    seen = [make_evidence(neuron, "kernels").current for neuron in (first, second)]
    given = submit(user, sheets.take(user, layer), [first, second], curves, seen=seen)
    assert [list(label.seen.all()) for label in given] == [[seen[0]], [seen[1]]]


def test_the_last_ones_end_the_sheet(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    submit(user, sheet, [lease.neuron for lease in sheets.leases_of(sheet)], curves)
    sheet.refresh_from_db()
    assert sheet.ended_at
    assert indices(sheets.take(user, layer)) == list(range(24, 30))


def test_sent_twice_it_is_taken_once(layer: Layer, curves: Family) -> None:
    user, key = make_user(), uuid.uuid4()
    sheet = sheets.take(user, layer)
    given = submit(user, sheet, at(layer, 2, 5), curves, submission=key)
    assert submit(user, sheet, at(layer, 2, 5), curves, submission=key) == given
    assert submit(user, sheet, at(layer, 2, 9), curves, submission=key) == given
    assert Label.objects.count() == 2


def test_all_or_none_and_who_is_wrong_is_named(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    with pytest.raises(Refused, match=r"^mixed3b:29 is not on this sheet"):
        submit(user, sheet, at(layer, 0, 29), curves)
    submit(user, sheet, at(layer, 0), curves)
    with pytest.raises(Refused, match=r"^mixed3b:0, mixed3b:28 are not on this sheet"):
        submit(user, sheet, at(layer, 0, 1, 28), curves)
    assert Label.objects.count() == 1


def test_late_while_there_is_room_and_later(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    Lease.objects.update(expires_at=timezone.now())
    submit(user, sheet, at(layer, 0), curves)
    Neuron.objects.filter(layer=layer, index=1).update(asks=0)
    with pytest.raises(Refused, match=r"mixed3b:1 is with others by now.*take it out of the choice"):
        submit(user, sheet, at(layer, 1, 2), curves)
    assert Label.objects.count() == 1


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [
        ({"verdict": "family"}, "Choose a family"),
        ({"verdict": "cannot tell"}, "names the evidence"),
        ({"verdict": "none of these", "suggested_name": "x" * 121}, "at most 120"),
    ],
)
def test_readings_that_say_nothing(layer: Layer, reading: dict, sentence: str) -> None:
    user = make_user()
    with pytest.raises(ValidationError, match=sentence):
        submit(user, sheets.take(user, layer), at(layer, 0, 1), **reading)
    assert not Label.objects.exists()
    assert Lease.objects.live().count() == 24


def test_none_chosen_and_somebody_else_s(layer: Layer, curves: Family) -> None:
    user, other = make_user(), make_user()
    sheet = sheets.take(user, layer)
    with pytest.raises(ValidationError, match="at least one"):
        submit(user, sheet, [], curves)
    with pytest.raises(Refused, match="somebody else"):
        submit(other, sheet, at(layer, 0), curves)
    with pytest.raises(Refused, match="somebody else"):
        sheets.give_back(other, sheet)
    assert Lease.objects.live().count() == 24


def test_put_down_another_comes_and_then_the_same_again(layer: Layer) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    sheets.give_back(user, sheet)
    sheets.give_back(user, sheet)
    assert not Lease.objects.live().exists()
    other = sheets.take(user, layer)
    assert indices(other) == list(range(24, 30))
    sheets.give_back(user, other)
    assert indices(sheets.take(user, layer)) == list(range(24))


@pytest.mark.parametrize("fields", [{"role": Role.ADMIN}, {"is_active": False}])
def test_who_may_not_label_gets_no_sheet(layer: Layer, fields: dict) -> None:
    with pytest.raises(Refused):
        sheets.take(make_user(**fields), layer)
    assert not Sheet.objects.exists()


def test_role_taken_away_between_page_and_post(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    user.role = Role.ADMIN
    with pytest.raises(Refused, match="Admins keep house"):
        submit(user, sheet, at(layer, 0), curves)
    assert not Label.objects.exists()


def test_a_reading_on_its_own_page_takes_it_off_the_sheet(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    make_label(at(layer, 4)[0], user, curves)
    assert 4 not in indices(sheet)


def test_a_label_of_a_sheet_is_taken_back_alone_and_handed_out_singly(layer: Layer, curves: Family) -> None:
    user = make_user()
    sheet = sheets.take(user, layer)
    first, _ = submit(user, sheet, at(layer, 2, 5), curves)
    labels.undo(user, first)
    assert Label.objects.current().count() == 1
    assert leases.take(user, layer=layer)[0].neuron.index == 2


def test_a_sheet_in_few_queries(layer: Layer, curves: Family, django_assert_max_num_queries) -> None:
    user = make_user()
    with django_assert_max_num_queries(75):
        sheets.take(user, layer)
