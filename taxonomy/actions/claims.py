"""Stating a claim, having workers test it, withdrawing it. A claim is frozen from the moment it is stated."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from taxonomy import events, plans
from taxonomy.actions import evidence
from taxonomy.models import Claim, Family, ImageSet, Membership, Network, Neuron, Note, Run, User
from taxonomy.permissions import can_run_claim, can_state_claim, can_withdraw_claim, require


def family_set(family: Family) -> dict[str, Any]:
    """The members that a family has now, as a plan names them."""
    current = Membership.objects.current().filter(family=family).order_by("neuron__index")
    channels = list(current.values_list("neuron__index", flat=True))
    return {
        "layer": family.layer.name,
        "channels": channels,
        "named": family.name,
        "family": str(family.public_id),
    }


def neuron_set(neurons: Iterable[Neuron]) -> dict[str, Any]:
    """Neurons of one layer, as a plan names them.

    Raises:
        PlanError: when they are of several layers.
    """
    found = list(neurons)
    if len({neuron.layer_id for neuron in found}) > 1:
        raise plans.PlanError("do", "These neurons are of several layers: name those of one layer together.")
    return {
        "layer": found[0].layer.name if found else "",
        "channels": sorted({neuron.index for neuron in found}),
        "named": "",
    }


def network_of(subject: Note | Family | Neuron) -> Network:
    return subject.network if isinstance(subject, Note) else subject.layer.network


def check(network: Network, plan: Mapping[str, Any], image_set: ImageSet | None) -> None:
    """Whether the plan can be carried out on this network.

    Raises:
        PlanError: when not, with what to do.
    """
    layers = {layer.name: layer.channels for layer in network.layers.order_by("order")}
    labelled = False
    if image_set is not None:
        indices = plan.get("show", {}).get("indices") or ()
        chosen = image_set.images.filter(index__in=[index for index in indices if isinstance(index, int)])
        labelled = bool(indices) and not chosen.exclude(parameters__has_key="class").exists()
    images = image_set.count if image_set is not None else 0
    plans.check(plan, layers, images=images, labelled=labelled, classes=len(network.class_names))


@transaction.atomic
def state(
    user: User,
    subject: Note | Family | Neuron,
    *,
    kind: str,
    sentence: str,
    plan: Mapping[str, Any],
    image_set: ImageSet | None = None,
    rationale: str = "",
    restates: Claim | None = None,
) -> Claim:
    """State a claim with its prediction. Nobody can change it afterwards: who was wrong states another.

    Args:
        restates: the claim that this one puts better.

    Raises:
        Refused: when the user may not, or may not see how the neuron is read.
        PlanError: when the plan cannot be carried out, with what to do.
        ValidationError: when a text is empty or too long, or the kind unknown.
    """
    require(can_state_claim(user, subject))
    network = network_of(subject)
    check(network, plan, image_set)
    claim = Claim(
        network=network,
        note=subject if isinstance(subject, Note) else None,
        family=subject if isinstance(subject, Family) else None,
        neuron=subject if isinstance(subject, Neuron) else None,
        kind=kind,
        sentence=" ".join(sentence.split()),
        rationale=rationale.strip(),
        plan=dict(plan),
        image_set=image_set,
        restates=restates,
        author=user,
    )
    if restates is not None and restates.network_id != network.pk:
        raise ValidationError({"restates": "A claim restates one about the same network."})
    claim.full_clean()
    claim.save()
    _record(user, "claim.stated", claim)
    return claim


@transaction.atomic
def run(user: User, claim: Claim) -> Run:
    """Have a worker test the claim. By the same recipe and weights it is tested once, and that run is given.

    A run that failed or was cancelled is started again, as the same run.

    Raises:
        Refused: when the user may not, the claim is withdrawn, or the network has no weights.
    """
    require(can_run_claim(user, claim))
    claim = (
        Claim.objects.select_for_update(of=["self"], no_key=True)
        .select_related("network", "image_set")
        .get(pk=claim.pk)
    )
    require(can_run_claim(user, claim))
    made = evidence.request_of_claim(user, claim)
    known = Run.objects.filter(evidence=made).first()
    if known is not None:
        return known
    last = claim.runs.aggregate(last=Max("number"))["last"] or 0
    found = Run.objects.create(claim=claim, number=last + 1, evidence=made, requested_by=user)
    _record(user, "claim.run", claim, data={"run": found.number})
    return found


def asks_for_another_run(claim: Claim) -> bool:
    """Whether the recipe or the network's weights have changed since its latest run, or it has none."""
    latest = claim.runs.select_related("evidence").order_by("-number").first()
    return latest is None or latest.evidence.key != evidence.key_of_claim(claim)


@transaction.atomic
def withdraw(user: User, claim: Claim, *, reason: str) -> Claim:
    """Take a claim back. It stays readable, with what its runs found.

    Raises:
        Refused: to anyone but its author, and once it is withdrawn.
        ValidationError: without a reason, or with too long a one.
    """
    claim = Claim.objects.select_for_update(of=["self"], no_key=True).get(pk=claim.pk)
    require(can_withdraw_claim(user, claim))
    if not reason.strip():
        raise ValidationError({"reason": "Say why, so that readers know what became of it."})
    claim.withdrawn_at, claim.withdrawn_reason = timezone.now(), " ".join(reason.split())
    claim.full_clean()
    claim.save(update_fields=["withdrawn_at", "withdrawn_reason"])
    _record(user, "claim.withdrawn", claim)
    return claim


def _record(user: User, verb: str, claim: Claim, data: dict[str, Any] | None = None) -> None:
    events.record(
        user,
        verb,
        claim=claim,
        network=claim.network,
        note=claim.note,
        family=claim.family,
        neuron=claim.neuron,
        data=data,
    )
