"""The demo world's circuit note: written by two, sent back once, published, tested by workers, corrected, answered.

Everything goes through the actions that people's pages use. What was done already is found, and not done again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from taxonomy import storage
from taxonomy.actions import circuits, claims, discussions, notes
from taxonomy.models import (
    Claim,
    EvidenceVersion,
    Family,
    ImageSet,
    Membership,
    Motif,
    Network,
    Neuron,
    Note,
    Run,
    Subgraph,
    User,
)

Persons = Mapping[str, User]

TITLE = "Curve detection in the hand-written network"
NEURON = "mixed3b:6"
# At the usual 30 % no line would be among the inputs: their strongest weight is 29.99 % of the strongest of all.
THRESHOLD = 0.25
ABSTRACT = """\
[[3b:6]] answers to arcs that open upwards, and to hardly anything else. We say what it is made of: early curves of
nearly its own orientation excite it, those that face the other way inhibit it, and lines along the arc help. Three
claims say what should happen if that is so, and workers test them."""
BODY = r"""## From lines to arcs

In InceptionV1, curves are made of earlier curves and of lines that are laid along the arc [@cammarata2021curve]. In
this network a program wrote the weights by that description, so it can be asked what the description explains.

A curve of `mixed3b` that bulges towards the angle $\theta$ is, at the place $x$ and before its ReLU,

$$c_\theta(x) = b + \sum_{\varphi} \sum_{u} w_{\theta\varphi}(u)\, e_\varphi(x + u)^{+}
+ \sum_{\psi} \sum_{u} v_{\theta\psi}(u)\, \ell_\psi(x + u)^{+}$$

where the $e_\varphi$ are the [[family:3a/early curves]] and the $\ell_\psi$ the [[family:3a/lines]] of `mixed3a`,
the $u$ go over 5 × 5 cells, and $z^{+} = \max(z, 0)$.

## What excites and what inhibits

![Weights from early curves to curves, both in the order of their angle: along the diagonal they excite, half a turn
away they inhibit.](/evidence/%(matrix)s/)

Every row is the row above it, turned: the weights are **equivariant**, as in the natural network
[@olah2020naturally]. Early curves of the same orientation excite a curve, as [[3a:6]] does [[3b:6]]; half a turn
away they inhibit it, as [[3a:18]] does. In between lies little.

An early curve also answers to the arc that faces the other way, though less strongly: it *echoes*. A late one does
not.

![How [[3b:6]] answers to arcs of every orientation: one peak at 90°, and nothing at 270°.](/evidence/%(late)s/)

![How [[3a:6]] does: its peak is in the same place, with an echo opposite.](/evidence/%(early)s/)

## What should happen if this is so

If the negative weights take the echo away, it comes back without them. The same was measured in InceptionV1
[@cammarata2021curve].

- %(echo)s

Lines lie along the arc, and so they could decide which way a curve faces.

- %(lines)s

The read-out weighs curves against lines: without its lines, the network would take what is straight for bent.

- %(pictures)s
"""
FOUND = """
## What the workers found

%(echo)s

![The echo of curves, with all weights and without the negative ones.](/evidence/%(run)s/)

%(lines)s

%(pictures)s
"""
# What a ruling means here, for those that the demo's weights give; others are told by their numbers alone.
MEANING = {
    ("echo", "supported"): "The negative weights are what removes the echo.",
    ("lines", "refuted"): (
        "We were wrong about the lines: where the peak lies is decided by the early curves. Lines make the answer "
        "stronger."
    ),
    ("pictures", "inconclusive"): (
        "Something happens, but we said more, and cannot exclude less. So far only some of the lines have been "
        "accepted into their family; with all of them the claim would be another one."
    ),
    ("pictures", "supported"): "Without its lines the network takes straight things for bent ones.",
}
SELECTION = (
    "The threshold is below the usual 30 %, so that lines are among the inputs. Neurons without a family are left out."
)
BIBLIOGRAPHY = """\
@article{cammarata2021curve,
  author = {Cammarata, Nick and Goh, Gabriel and Carter, Shan and Voss, Chelsea and Schubert, Ludwig and Olah, Chris},
  title = {Curve Circuits},
  journal = {Distill},
  year = {2021},
  doi = {10.23915/distill.00024.006}
}

@article{olah2020naturally,
  author = {Olah, Chris and Cammarata, Nick and Voss, Chelsea and Schubert, Ludwig and Goh, Gabriel},
  title = {Naturally Occurring Equivariance in Neural Networks},
  journal = {Distill},
  year = {2020},
  doi = {10.23915/distill.00024.004}
}
"""

EARLY, LATE, LINES, LATE_LINES = "mixed3a/Early Curves", "mixed3b/Curves", "mixed3a/Lines", "mixed3b/Lines"
ARCS = {"kind": "sweep", "stimulus": "curve", "step": 2.5, "radii": [32, 40, 50], "strokes": [2, 3, 4]}
# Who states what of the note, and what is changed, measured and predicted.
CLAIMS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "echo": (
        "ada",
        "circuit",
        "Without the negative weights from early curves, the echo of curves comes back.",
        {
            "do": [{"do": "keep_positive", "from": EARLY, "to": LATE}],
            "show": ARCS,
            "measure": {"what": "echo", "of": LATE},
            "expect": {"change": "rises", "margin": 0.04, "relative": False},
        },
    ),
    "lines": (
        "chidi",
        "causality",
        "Without their inputs from lines, curves prefer another orientation, by more than 15 degrees.",
        {
            "do": [{"do": "zero", "from": LINES, "to": LATE}],
            "show": ARCS,
            "measure": {"what": "peak", "of": LATE},
            "expect": {"change": "rises", "margin": 15, "relative": False},
        },
    ),
    "pictures": (
        "ada",
        "causality",
        "Without the lines of mixed3b, straight lines and gratings are taken for curves.",
        {
            "do": [{"do": "drop", "at": LATE_LINES}],
            "measure": {"what": "top1"},
            "expect": {"change": "falls", "margin": 0.1, "relative": False},
        },
    ),
}
STRAIGHT = ("line", "grating")


def write(network: Network, pictures: ImageSet, persons: Persons) -> Note:
    """The note, published, with its claims stated; found where it is there."""
    found = Note.objects.filter(network=network, about=None, versions__title=TITLE).first()
    return found or _write(network, pictures, persons)


@transaction.atomic
def _write(network: Network, pictures: ImageSet, persons: Persons) -> Note:
    ada, chidi, edda, fen = (persons[name] for name in ("ada", "chidi", "edda", "fen"))
    drawn = _circuit(network)
    note = notes.create(
        ada,
        network,
        title=TITLE,
        abstract=ABSTRACT,
        bibliography=BIBLIOGRAPHY,
        subgraph=drawn,
        contribution="measured the tuning, wrote the text",
    )
    notes.ask(ada, note, chidi)
    notes.agree(chidi, note, contribution="read the weights")
    stated = {}
    for name, (author, kind, sentence, plan) in CLAIMS.items():
        whole = plan if "show" in plan else plan | {"show": _straight(pictures)}
        used = pictures if "show" not in plan else None
        claim = claims.state(persons[author], note, kind=kind, sentence=sentence, plan=whole, image_set=used)
        stated[name] = f"[[claim:{claim.public_id}]]"
    body = BODY % (stated | _figures(network))
    notes.save(ada, note, began_from=1, body=body)
    notes.submit(ada, note, version=2)
    notes.decide(edda, note, version=2, decision="request changes", comment="Please say how the neurons were chosen.")
    motifs = [
        motif for motif in Motif.values if motif in {one.motif for one in circuits.suggest_motifs(network, drawn)}
    ]
    notes.save(chidi, note, began_from=2, selection=SELECTION, motifs=motifs, summary="How its neurons were chosen.")
    notes.submit(chidi, note, version=3)
    notes.decide(edda, note, version=3, decision="approve", comment="Three predictions that can fail: thank you.")
    note = Note.objects.get(pk=note.pk)
    first = discussions.add(fen, note, "What would the lines do to the *width* of the peak?")
    discussions.add(
        chidi, note, "We have not predicted anything about it. State a claim, and we all learn.", parent=first
    )
    return Note.objects.get(pk=note.pk)


def _circuit(network: Network) -> Subgraph:
    """What the rule gives, without those that belong to no family: what they are is not settled."""
    drawn = circuits.grow(network, Neuron.objects.at(network.name, NEURON), threshold=THRESHOLD, depth=1)
    current = Membership.objects.current().filter(neuron__layer__network=network)
    settled = {member.neuron.address for member in current.select_related("neuron__layer")}
    for key in [node["id"] for node in drawn["nodes"]]:
        if key not in settled:
            drawn = circuits.remove(drawn, key)
    return drawn


def _figures(network: Network) -> dict[str, str]:
    """The public ids of the evidence that the article shows."""
    made = EvidenceVersion.objects.filter(evidence__network=network, evidence__current__isnull=False)
    curves = made.filter(evidence__kind="tuning_curves", evidence__parameters__stimulus="curve").order_by("pk")
    matrix = made.filter(evidence__kind="family_weights", evidence__family__name="Curves").order_by("pk")
    return {
        "matrix": str(matrix.get(evidence__other__name="Early Curves").public_id),
        "late": str(curves.filter(evidence__neuron=Neuron.objects.at(network.name, NEURON))[0].public_id),
        "early": str(curves.filter(evidence__neuron=Neuron.objects.at(network.name, "mixed3a:6"))[0].public_id),
    }


def _straight(pictures: ImageSet) -> dict[str, Any]:
    indices = pictures.images.filter(parameters__label__in=STRAIGHT).order_by("index").values_list("index", flat=True)
    return {"kind": "images", "indices": list(indices)}


def run(note: Note, reviewer: User) -> list[Run]:
    """Have every claim of the note tested."""
    return [claims.run(reviewer, claim) for claim in note.claims.filter(withdrawn_at=None).order_by("pk")]


@transaction.atomic
def correct(note: Note, runs: Sequence[Run], persons: Persons) -> None:
    """Say what came of it in a correction, once every claim has its ruling; and have it answered."""
    runs = list(
        Run.objects.filter(pk__in=[run.pk for run in runs]).exclude(ruling="").select_related("claim", "evidence")
    )
    if note.corrected_at is not None or {run.claim.sentence for run in runs} != {said[2] for said in CLAIMS.values()}:
        return
    ada, emil, edda = persons["ada"], persons["emil"], persons["edda"]
    names = {sentence: name for name, (_, _, sentence, _) in CLAIMS.items()}
    by_name = {names[run.claim.sentence]: run for run in runs}
    told = {name: _told(name, run) for name, run in by_name.items()}
    echo = by_name["echo"].evidence.current
    assert echo is not None  # it has its ruling
    latest = note.latest
    body = latest.body + FOUND % (told | {"run": echo.public_id})
    refuted = [run.claim for run in runs if run.ruling == "refuted"]
    summary = f"What the workers found: of {len(runs)} claims {len(refuted)} refuted."
    version = notes.save(ada, note, began_from=latest.number, body=body, summary=summary)
    notes.submit(ada, note, version=version.number)
    notes.decide(emil, note, version=version.number, decision="approve")
    _comment_on(note, by_name["lines"].claim, persons["dunya"], edda)


def _told(name: str, run: Run) -> str:
    """What a run found, in its own words, and what that means here."""
    current = run.evidence.current
    assert current is not None
    reason = json.loads(storage.read(current.artifacts.get(name="data").sha256))["reason"]
    return " ".join(filter(None, [f"[[claim:{run.claim.public_id}]] {reason}", MEANING.get((name, run.ruling), "")]))


def _comment_on(note: Note, claim: Claim, author: User, editor: User) -> None:
    """A commentary on the note, by somebody else, about the claim on lines."""
    answer = notes.create(
        author,
        note.network,
        about=note,
        title="What lines do for curves, if they do not steer them",
        abstract="That a claim was refuted is worth a note of its own: it says where the next one should look.",
        body=(
            f"The note above expected lines to turn curves: [[claim:{claim.public_id}]]\n\n"
            "The weights say why they do not. What lines add lies evenly to both sides of the arc's middle, and so "
            "does what is taken away with them: the answer sinks, and its peak stays. What lines *can* change is how "
            "strong the answer is, and how wide. Both can be predicted, and tested."
        ),
    )
    notes.submit(author, answer, version=1)
    notes.decide(editor, answer, version=1, decision="approve")


def ends(network: Network, subgraph: Subgraph) -> dict[str, tuple[str, str]]:
    """For each node the layer and the name of its family, as the file that builds the circuit by hand needs them."""
    families = {str(family.public_id): family for family in Family.objects.filter(layer__network=network)}
    current = Membership.objects.current().filter(neuron__layer__network=network, primary=True)
    kin = {member.neuron.address: member.family for member in current.select_related("neuron__layer", "family__layer")}
    found = {}
    for node in subgraph["nodes"]:
        family = kin[node["neuron"]] if node["neuron"] else families[node["family"]]
        found[node["id"]] = (family.layer.name, family.name)
    return found
