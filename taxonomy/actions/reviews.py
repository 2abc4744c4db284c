"""Reviewing: accepting an agreed neuron into its family."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from taxonomy import consensus, events
from taxonomy.actions.labels import parents, readings, readings_of, result_of, tally
from taxonomy.models import Decision, Family, Label, Membership, Neuron, Review, Standing, User
from taxonomy.permissions import Allowed, Answer, Denied, Person, can_review, require


def can_accept(user: Person, neuron: Neuron) -> Answer:
    """Whether this reviewer may accept this neuron now: it must still be agreed with their own label left out."""
    return can_accept_each(user, [neuron])[neuron.pk]


def can_accept_each(user: Person, neurons: Sequence[Neuron]) -> dict[int, Answer]:
    """``can_accept`` for many, in as many queries as for one."""
    found: dict[int, list[Label]] = {neuron.pk: [] for neuron in neurons}
    tree: dict[int, int | None] = {}
    if can_review(user) and any(neuron.standing == Standing.AGREED for neuron in neurons):
        for label in Label.objects.current().filter(neuron__in=neurons).prefetch_related("further").order_by("pk"):
            found[label.neuron_id].append(label)
        layers = {neuron.layer_id for neuron in neurons}
        tree = dict(Family.objects.filter(layer__in=layers).values_list("pk", "parent_id"))
    return {neuron.pk: _can_accept(user, neuron, found[neuron.pk], tree) for neuron in neurons}


def _can_accept(user: Person, neuron: Neuron, found: list[Label], tree: Mapping[int, int | None]) -> Answer:
    answer = can_review(user, neuron)
    if not answer:
        return answer
    if neuron.is_settled:
        return Denied(f"This neuron is already {neuron.standing}.")
    if neuron.standing != Standing.AGREED:
        return Denied("Only an agreed neuron can be accepted: over two thirds, at least three people, for one family.")
    agreed = result_of(found, tree).family
    others = readings_of([label for label in found if label.author_id != user.pk], ())
    if agreed is None or not consensus.qualifies(agreed, others, tree):
        return Denied("Your own reading decides this one: without it the others do not agree. Another reviewer has to.")
    return Allowed()


@transaction.atomic
def accept(user: User, neuron: Neuron, *, comment: str = "") -> Review:
    """Accept an agreed neuron into the family that its labels agree on.

    Raises:
        Refused: when the user is no reviewer, or the neuron is not agreed without the user's own label.
        ValidationError: when the comment is too long.
    """
    require(can_review(user, neuron))
    neurons = Neuron.objects.select_for_update(of=["self"], no_key=True)
    neuron = neurons.select_related("layer__network").get(pk=neuron.pk)
    require(can_accept(user, neuron))
    found = readings(neuron)
    result = consensus.standing(found, parents(neuron.layer))
    assert result.family is not None  # can_accept saw to it, and the neuron is locked
    family = Family.objects.get(pk=result.family)
    review = Review(
        neuron=neuron,
        reviewer=user,
        decision=Decision.ACCEPT,
        family=family,
        tally=tally(neuron, [reading for reading in found if reading.author != user.pk], result),
        comment=comment.strip(),
    )
    review.full_clean()
    review.save()
    Membership.objects.create(family=family, neuron=neuron, review=review, made_by=user)
    neuron.standing, neuron.asks = Standing.ACCEPTED, 0
    neuron.save(update_fields=["standing", "asks"])
    events.record(user, "review.accepted", neuron=neuron, family=family, review=review)
    return review
