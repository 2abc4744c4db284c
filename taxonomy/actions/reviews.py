"""Reviewing: accepting an agreed neuron into its family."""

from django.db import transaction

from taxonomy import consensus, events
from taxonomy.actions.labels import parents, readings, tally
from taxonomy.models import Decision, Family, Membership, Neuron, Review, Standing, User
from taxonomy.permissions import Answer, Allowed, Denied, can_review, require


def can_accept(user: User, neuron: Neuron) -> Answer:
    """Whether this reviewer may accept this neuron now: it must still be agreed with their own label left out."""
    answer = can_review(user, neuron)
    if not answer:
        return answer
    if neuron.is_settled:
        return Denied(f"This neuron is already {neuron.standing}.")
    if neuron.standing != Standing.AGREED:
        return Denied("Only an agreed neuron can be accepted: it needs three people, and over two thirds, for one family.")
    tree = parents(neuron.layer)
    without = consensus.standing(readings(neuron, without=user), tree)
    if without != consensus.standing(readings(neuron), tree):
        return Denied("Your own reading decides this one: with it left out the others do not agree, so another reviewer has to.")
    return Allowed()


@transaction.atomic
def accept(user: User, neuron: Neuron, *, comment: str = "") -> Review:
    """Accept an agreed neuron into the family that its labels agree on.

    Raises:
        Refused: when the user is no reviewer, or the neuron is not agreed without the user's own label.
        ValidationError: when the comment is too long.
    """
    require(can_review(user, neuron))
    neuron = Neuron.objects.select_for_update(of=["self"]).select_related("layer__network").get(pk=neuron.pk)
    require(can_accept(user, neuron))
    found = readings(neuron, without=user)
    result = consensus.standing(found, parents(neuron.layer))
    review = Review(
        neuron=neuron,
        reviewer=user,
        decision=Decision.ACCEPT,
        family=Family.objects.get(pk=result.family),
        tally=tally(neuron, found, result),
        comment=comment.strip(),
    )
    review.full_clean()
    review.save()
    Membership.objects.create(family=review.family, neuron=neuron, review=review, made_by=user)
    neuron.standing = Standing.ACCEPTED
    neuron.save(update_fields=["standing"])
    events.record(user, "review.accepted", neuron=neuron, family=review.family, review=review)
    return review
