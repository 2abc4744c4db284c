"""The demo world: the hand-written curve network, its evidence, people who label, disagree and settle, and a note whose
claims are tested; and its circuit built by hand, as a network beside it.

Everything happens through the same commands and actions that a lab would use; a second run finds what is there.
"""

import json
import random
import secrets
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import F

from taxonomy import recipes, storage
from taxonomy.actions import (
    agreement,
    discussions,
    evidence,
    families,
    gold,
    labels,
    leases,
    needs,
    people,
    proposals,
    reviews,
)
from taxonomy.interchange import distill
from taxonomy.management import demo_note
from taxonomy.management.commands import request_evidence
from taxonomy.management.commands.register_network import describe
from taxonomy.models import (
    Artifact,
    Decision,
    Evidence,
    EvidenceVersion,
    Family,
    ImageSet,
    Layer,
    Network,
    Neuron,
    Note,
    Proposal,
    Role,
    Standing,
    User,
)
from taxonomy.rendering import artificial

NETWORK, ARTIFICIAL = "curve_network", "curves_by_hand"
PICTURES = "curves"
ABOUT = (
    "A small vision network whose weights are written by a program, after “Curve Circuits” (Cammarata et al., "
    "Distill 2021). Every neuron's job is known by construction, so it tells whether the evidence tells the truth."
)
CONTRIBUTORS = ("ada", "bela", "chidi", "dunya", "emre", "fen")
REVIEWERS = ("rosa", "sven")
EDITORS = ("edda", "emil")
AFFILIATIONS = {
    "ada": "Institute for Curves",
    "bela": "University of the Lower Layers",
    "chidi": "Institute for Curves",
    "rosa": "University of the Lower Layers",
    "edda": "Academy of Visual Systems",
}
# Families of these layers come with the network; those of the other layers are found by the people.
BY_CONSTRUCTION = ("conv2d0", "conv2d1", "conv2d2")
# The neuron that is looked at more closely, and the steps of pictures that are not what a page is for.
CLOSER = ("mixed3b", 6)
BRIEF = 128
# Curves that bulge right, down, left and up.
QUARTERS = [0, 6, 12, 18]
SOURCE = "The hand-written curve network: known by construction"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--steps", type=int, default=256, help="of feature visualization, 256 by default")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the evidence, and add no labels")

    def handle(self, *args: Any, **options: Any) -> None:
        known = describe(NETWORK, None)
        self.catalogue(known)
        network = Network.objects.get(name=NETWORK)
        persons = self.people()
        asked = self.ask(network, self.of_neurons(network, options["steps"]))
        if options["no_wait"]:
            return
        self.wait(asked)
        if not Family.objects.filter(layer__network=network, proposal__isnull=False).exists():
            self.story(network, known, persons)
        agreement.measure(network)
        wanted = [self.of_an_example(network), *self.of_families(network), self.of_layers(network)]
        asked = self.ask(network, wanted)
        # What people miss in the story is asked for like everything else, and is there when the world is complete.
        needs.tend()
        missed = Evidence.objects.filter(shard__job__needs__neuron__layer__network=network)
        self.wait([*asked, *missed.values_list("pk", flat=True)])
        needs.tend()
        self.circuit(network, persons)
        self.stdout.write(
            f"Demo world: {Neuron.objects.filter(layer__network=network).count()} neurons, "
            f"{Neuron.objects.filter(layer__network=network, standing=Standing.ACCEPTED).count()} accepted.\n"
            f"Sign in as {CONTRIBUTORS[0]} (contributor), {REVIEWERS[0]} (reviewer), {EDITORS[0]} (editor) or "
            f"admin_demo (admin); the password of each is  {self.password()}"
        )

    def circuit(self, network: Network, persons: dict[str, User]) -> None:
        """A note on the network's curves, its claims tested, what came of them; and its circuit, built by hand."""
        note = demo_note.write(network, ImageSet.objects.get(name=PICTURES), persons)
        runs = demo_note.run(note, persons["rosa"])
        self.wait([run.evidence_id for run in runs])
        demo_note.correct(note, runs, persons)
        if not Network.objects.filter(name=ARTIFICIAL).exists():
            self.build(note)
        built = Network.objects.get(name=ARTIFICIAL)
        layer = built.layers.get(name="mixed3b")
        # Their faces come when they come: whoever reads the note does not wait for them, nor fails if one does.
        faces = {"kinds": ["feature_visualization"], "layers": [layer], "neurons": QUARTERS}
        self.ask(built, [faces | {"parameters": {"feature_visualization": {"objective": "neuron", "steps": BRIEF}}}])
        self.wait(self.ask(built, self.of_an_artificial(built)))
        early = Family.objects.get(layer__network=built, layer__name="mixed3a", name="Early Curves")
        curves = Family.objects.get(layer=layer, name="Curves")
        self.wait(self.ask(built, [{"kinds": ["family_weights"], "families": [curves], "other": early}]))

    def build(self, note: Note) -> None:
        """Write the file that a reader can download from the note, run it, and register what it makes."""
        version = note.shown
        title = f"{version.title} (version {version.number}), {note.get_absolute_url()}"
        text = artificial.build(title, version.subgraph, demo_note.ends(note.network, version.subgraph))
        folder = settings.HOME / ARTIFICIAL
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{ARTIFICIAL}.py"
        file.write_text(text, encoding="utf-8")
        self.stdout.write("Building the note's circuit by hand ...")
        made = subprocess.run([sys.executable, str(file)], cwd=folder, check=True, capture_output=True, text=True)
        (folder / "tuning.txt").write_text(made.stdout, encoding="utf-8")
        half = [0.5, 0.5, 0.5]
        call_command(
            "register_network",
            ARTIFICIAL,
            module=f"{file}:make",
            weights=file.with_suffix(".safetensors"),
            title="Curves, built by hand",
            about="The circuit of a note on the curve network, from a few rules with named constants.",
            source=title,
            licence="Apache-2.0",
            input_size=179,
            mean=half,
            std=half,
        )
        built = Network.objects.get(name=ARTIFICIAL)
        for layer in built.layers.order_by("order"):
            document = json.loads((folder / f"{ARTIFICIAL}_{layer.name}.json").read_text())
            families.import_taxonomy(User.objects.system(), built, [distill.parse(document, layer.name)])

    def ask(self, network: Network, wanted: Sequence[dict[str, Any]]) -> list[int]:
        """Ask for all of it, and give the evidence's ids."""
        system, pictures = User.objects.system(), ImageSet.objects.get(name=PICTURES)
        return [pk for what in wanted for pk in evidence.request(system, network, image_set=pictures, **what).evidence]

    def wait(self, asked: list[int]) -> None:
        asking = request_evidence.Command()
        asking.stdout, asking.stderr = self.stdout, self.stderr
        asking.wait(asked)

    def of_neurons(self, network: Network, steps: int) -> list[dict[str, Any]]:
        """Every kind of every neuron, as far as a first look at the site should wait for it."""
        layers = {layer.name: layer for layer in network.layers.all()}
        rest = [kind for kind in recipes.BY_DEFAULT if kind not in ("feature_visualization", "neighbours")]
        # What a neuron is against is shown where something is: sums over all phases have no opposite.
        wanted: list[dict[str, Any]] = [
            {
                "kinds": ["feature_visualization"],
                "layers": where,
                "parameters": {"feature_visualization": {"objective": objective, "steps": count}},
            }
            for objective, count, where in (
                ("neuron", steps, None),
                ("negative", min(steps, BRIEF), [layers["mixed3a"], layers["mixed3b"]]),
            )
        ]
        wanted += [{"kinds": rest}]
        # Further up the weights to the picture cancel: these neurons do not care about phase.
        for by, where in (("activation", None), ("rotation", None), ("weights", [layers["conv2d0"]])):
            wanted.append({"kinds": ["neighbours"], "layers": where, "parameters": {"neighbours": {"by": by}}})
        closer = ("weight_factors", "decomposed_visualization", "facets")
        wanted.append(
            {
                "kinds": closer,
                "layers": [layers[CLOSER[0]]],
                "neurons": [CLOSER[1]],
                "parameters": {kind: {"steps": min(steps, BRIEF)} for kind in closer},
            }
        )
        return wanted

    def of_an_example(self, network: Network) -> dict[str, Any]:
        """Where the value comes from in the picture that excites one neuron most."""
        layer, index = CLOSER
        found = Artifact.objects.filter(
            name="data",
            version=F("version__evidence__current"),
            version__evidence__kind="dataset_examples",
            version__evidence__neuron=Neuron.objects.at(network.name, f"{layer}:{index}"),
        )
        best = json.loads(storage.read(found.order_by("-pk")[0].sha256))["top"][0]
        return {
            "kinds": ["attribution"],
            "layers": [network.layers.get(name=layer)],
            "neurons": [index],
            "parameters": {"attribution": {name: best[name] for name in ("image", "row", "column")}},
        }

    def of_families(self, network: Network) -> list[dict[str, Any]]:
        """How the curves answer to turned examples, and what they are made of."""
        by_name = {(family.layer.name, family.name): family for family in Family.objects.filter(layer__network=network)}
        curves = [by_name["mixed3b", "Curves"]]
        return [
            {"kinds": ["joint_tuning"], "families": curves},
            *(
                {"kinds": ["family_weights"], "families": curves, "other": by_name["mixed3a", name]}
                for name in ("Early Curves", "Lines")
            ),
        ]

    def of_layers(self, network: Network) -> dict[str, Any]:
        """The weights that the explorer shows: from early curves to curves, and what those are made from."""
        return {"kinds": ["layer_weights"], "layers": self.late(network)}

    def of_an_artificial(self, built: Network) -> list[dict[str, Any]]:
        """What a comparison with the network that it was built after needs: tuning, weights, and who is like whom."""
        curves = {"layers": [built.layers.get(name="mixed3b")]}
        tuning = curves | {"kinds": ["tuning_curves"]}
        alike = {"kinds": ["neighbours"], "layers": self.late(built)}
        return [
            *(tuning | {"parameters": {"tuning_curves": {"stimulus": stimulus}}} for stimulus in ("curve", "line")),
            curves | {"kinds": ["weights"]},
            *(alike | {"parameters": {"neighbours": {"by": by}}} for by in ("rotation", "activation")),
        ]

    def late(self, network: Network) -> list[Layer]:
        return list(network.layers.filter(name__in=("mixed3a", "mixed3b")).order_by("order"))

    def catalogue(self, known: dict[str, Any]) -> None:
        if not Network.objects.filter(name=NETWORK).exists():
            call_command(
                "register_network",
                NETWORK,
                title="Curve network, written by hand",
                about=ABOUT,
                source="Written by Neurotaxa's own program",
                licence="Apache-2.0",
            )
            network = Network.objects.get(name=NETWORK)
            records = [
                distill.parse(
                    {"layer": layer, "source": SOURCE, "families": documents(known["families"][layer])}, layer
                )
                for layer in BY_CONSTRUCTION
            ]
            families.import_taxonomy(User.objects.system(), network, records)
        if not ImageSet.objects.filter(name=PICTURES).exists():
            folder = settings.HOME / "pictures" / PICTURES
            self.stdout.write("Drawing 1,000 labelled pictures ...")
            self.draw(folder)
            call_command(
                "add_image_set", PICTURES, str(folder), licence="CC0-1.0", source="Drawn by workers/stimuli.py"
            )

    def draw(self, folder: Path) -> None:
        command = [sys.executable, "-m", "workers.stimuli", str(folder), "--count", "1000", "--seed", "0"]
        subprocess.run(command, cwd=settings.BASE_DIR, check=True)

    def password(self) -> str:
        file = settings.HOME / "demo-password"
        if not file.exists():
            file.touch(0o600)
            file.write_text(secrets.token_urlsafe(9))
        return file.read_text()

    def people(self) -> dict[str, User]:
        system = User.objects.system()
        persons = {}
        for name, role in [
            *((name, Role.CONTRIBUTOR) for name in CONTRIBUTORS),
            *((name, Role.REVIEWER) for name in REVIEWERS),
            *((name, Role.EDITOR) for name in EDITORS),
            ("admin_demo", Role.ADMIN),
        ]:
            person = User.objects.filter(username=name).first()
            if person is None:
                person = User.objects.create_user(name, f"{name}@example.org", self.password())
                people.join(person)
                if role != Role.CONTRIBUTOR:
                    person = people.appoint(system, person, role, reason="demo world")
                person = people.change_profile(person, affiliation=AFFILIATIONS.get(name, ""))
            persons[name] = person
        return persons

    @transaction.atomic
    def story(self, network: Network, known: dict[str, Any], persons: dict[str, User]) -> None:
        """Families proposed and accepted, neurons labelled by six people, some settled, some in dispute."""
        layers = {layer.name: layer for layer in network.layers.all()}
        rosa, sven, edda = persons["rosa"], persons["sven"], persons["edda"]
        made: dict[str, list[tuple[Family, list[int]]]] = {}
        for name in ("mixed3a", "mixed3b"):
            for number, document in enumerate(known["families"][name]):
                author = persons[CONTRIBUTORS[number]]
                proposal = proposals.create(
                    author,
                    layers[name],
                    name=document["name"],
                    remark=document["remark"],
                    symmetry=document["symmetry"],
                    confidence="high",
                )
                family = proposals.accept(rosa, proposal, comment="The tuning curves bear this out.")
                made.setdefault(name, []).append((family, document["units"]))
        self.link(edda, network)
        curves = made["mixed3b"][0][0]
        proposals.create(
            persons["dunya"],
            layers["mixed3b"],
            name="Arches",
            remark="Curves that bulge upwards, such as [[3b:18]]. Do they deserve a family of their own?",
            parent=curves,
            symmetry="none",
            confidence="low",
        )
        smiles = proposals.create(
            persons["emre"], layers["mixed3b"], name="Smiles", remark="[[3b:6]] looks like a mouth.", confidence="low"
        )
        reason = "One orientation of the curves: [[3b:6]] differs from its neighbours by its angle alone."
        proposals.reject(sven, smiles, comment=reason)
        dice = random.Random(0)
        for name, every in made.items():
            self.label(layers[name], every, persons, dice)
        for reviewer, neuron in zip(
            [rosa, sven] * 100,
            Neuron.objects.filter(layer__network=network, standing=Standing.AGREED).order_by("layer_id", "index"),
            strict=False,
        ):
            # Every sixth waits for a reviewer.
            if neuron.index % 6 != 5 and reviews.can_accept(reviewer, neuron):
                reviews.accept(reviewer, neuron)
        self.argue(layers["mixed3a"], made["mixed3a"], persons)
        self.doubt(layers["mixed3b"], persons)
        self.talk(network, persons)
        self.school(edda, persons["ada"], network)

    def argue(self, layer: Layer, every: list[tuple[Family, list[int]]], persons: dict[str, User]) -> None:
        """Two early curves over which people fall out: one is settled by an editor who took no part, one is not."""
        (curves, units), (lines, _) = every[:2]
        apart = [unit for unit in units if unit % 12 == 11][:2]
        for unit, editor in zip(apart, (persons["edda"], persons["emil"]), strict=False):
            neuron = layer.neurons.select_related("layer__network").get(index=unit)
            for place, reader in enumerate(CONTRIBUTORS[:5]):
                family = (curves, lines)[place % 2]
                note = "" if family == curves else "Half a turn on it answers again, as a line does."
                labels.add(persons[reader], neuron, verdict="family", family=family, note=note)
            tuning = EvidenceVersion.objects.filter(
                evidence__neuron=neuron,
                evidence__kind="tuning_curves",
                evidence__parameters__stimulus__in=("curve", "line"),
            ).select_related("evidence")
            neuron.refresh_from_db()
            if not (tuning and reviews.can(editor, neuron, Decision.SETTLE)):
                continue
            if unit == apart[0]:
                reason = (
                    "Its tuning to curves has one peak that stands out, and an echo half as high; to lines it has two "
                    "alike. A curve with an echo, then: what is said of lines is true of the echo alone."
                )
                reviews.settle(editor, neuron, family=curves, comment=reason, cites=list(tuning))
            else:
                reason = (
                    "Peak and echo are nearly alike here, and its tuning to lines is as strong. Both readings describe "
                    "what is measured; natural pictures would have to tell them apart."
                )
                reviews.contest(editor, neuron, comment=reason, cites=list(tuning))

    def doubt(self, layer: Layer, persons: dict[str, User]) -> None:
        """What reviewers hold up: an objection, evidence that is missing, and an acceptance that was too quick."""
        rosa, sven = persons["rosa"], persons["sven"]
        neurons = layer.neurons.select_related("layer__network").order_by("index")
        waiting = list(neurons.filter(standing=Standing.AGREED)[:2])
        if waiting:
            reason = (
                f"Is this one curve? [[3b:{waiting[0].index}]] has a second, smaller bump. I should like to see why."
            )
            reviews.object_to(sven, waiting[0], comment=reason)
        if len(waiting) > 1:
            reason = "The themes of its weights would tell what takes the echo away."
            reviews.need_evidence(rosa, waiting[1], kind="weight_factors", comment=reason)
        accepted = neurons.filter(standing=Standing.ACCEPTED).last()
        if accepted is not None:
            reviews.undo(rosa, accepted, comment="Accepted before anybody looked at its examples: once more, please.")

    def talk(self, network: Network, persons: dict[str, User]) -> None:
        """What people say about an early curve, a curve without its echo, their family, and a proposal."""
        by = persons.__getitem__
        for layer in ("mixed3a", "mixed3b"):
            accepted = Neuron.objects.filter(
                layer__network=network, layer__name=layer, standing=Standing.ACCEPTED, index__lt=24
            ).select_related("layer__network")
            neuron = accepted.order_by("index").first()
            if neuron is None:
                continue
            angle, opposite = 15 * neuron.index, (neuron.index + 12) % 24
            if layer == "mixed3a":
                first = discussions.add(
                    by("ada"),
                    neuron,
                    f"Its tuning curve has two bumps: one at {angle}°, and a lower one half a turn on, where "
                    f"[[3a:{opposite}]] has its own peak. Is this one curve, or two?",
                )
                discussions.add(
                    by("chidi"),
                    neuron,
                    "One, with an **echo**: from the lines that it is made of, an arc and the opposite arc look alike. "
                    "That is also why it passes for a line at first sight, @bela.",
                    parent=first,
                )
                discussions.add(
                    by("bela"),
                    neuron,
                    "It would fool me, too. See [[family:3a/lines]] for what lines do.",
                    parent=first,
                )
                discussions.resolve(by("ada"), first)
            else:
                first = discussions.add(
                    by("dunya"),
                    neuron,
                    f"The same angle as [[3a:{neuron.index}]], but no echo any more. What takes it away?",
                )
                reply = discussions.add(
                    by("rosa"),
                    neuron,
                    f"Look at its weights from mixed3a: [[3a:{opposite}]] is blue.",
                    parent=first,
                )
                discussions.edit(
                    by("rosa"),
                    reply,
                    f"Look at its weights from mixed3a: [[3a:{opposite}]] and its neighbours are blue. Early curves "
                    "that face the other way inhibit it.",
                )
        curves = Family.objects.get(layer__network=network, layer__name="mixed3b", name="Curves")
        first = discussions.add(
            by("fen"),
            curves,
            "How much of a turn does one of them cover? If neighbours lie 15° apart, half of the maximum should be "
            "reached before the next but one.",
        )
        discussions.add(
            by("sven"), curves, "Each page gives its width: [[3b:0]], [[3b:6]] and [[3b:12]], @fen.", parent=first
        )
        discussions.add(
            by("edda"),
            curves,
            "Please name the *direction in which it bulges*, clockwise from the right, when you write of an angle:\n\n"
            "| angle | bulges | for example |\n|---|---|---|\n| 0° | right | [[3b:0]] |\n| 90° | down | [[3b:6]] |\n"
            "| 270° | up | [[3b:18]] |",
        )
        arches = Proposal.objects.filter(layer__network=network, name="Arches").first()
        if arches is not None:
            first = discussions.add(
                by("emre"),
                arches,
                "They differ from [[3b:6]] by their angle alone. As with “Smiles”: a family would split what turns "
                "into one another.",
            )
            discussions.add(by("dunya"), arches, "Then only if they do something else further up, @emre.", parent=first)

    def school(self, editor: User, reader: User, network: Network) -> None:
        """Gold neurons where the weights leave no doubt, and somebody who read them: a candidate for reviewer."""
        clear = Neuron.objects.filter(layer__network=network, layer__name__in=("conv2d1", "conv2d2"))
        clear = clear.filter(standing=Standing.ACCEPTED).order_by("layer_id", "index")
        for number, neuron in enumerate(clear[: people.GOLD_NEURONS + 2]):
            gold.mark(editor, neuron, "Known by construction.")
            family = Family.objects.get(memberships__neuron=neuron, memberships__ended_at=None)
            lease = leases.lend(reader, labels.locked(neuron), gold=True)
            reading: dict[str, Any] = {"verdict": "family", "family": family}
            if number % 13 == 12:
                reading = {"verdict": "none of these", "suggested_name": "Blobs"}
            labels.add(reader, neuron, lease=lease.token, **reading)

    def link(self, editor: User, network: Network) -> None:
        by_name = {(family.layer.name, family.name): family for family in Family.objects.filter(layer__network=network)}
        for source, target in (
            (("mixed3b", "Curves"), ("mixed3a", "Early Curves")),
            (("mixed3b", "Lines"), ("mixed3a", "Lines")),
            (("mixed3a", "Lines"), ("conv2d2", "Lines")),
            (("conv2d2", "Lines"), ("conv2d1", "Complex Gabor")),
            (("conv2d1", "Complex Gabor"), ("conv2d0", "Gabor Filters")),
        ):
            families.link(editor, by_name[source], by_name[target], "earlier")

    def label(
        self, layer: Layer, every: list[tuple[Family, list[int]]], persons: dict[str, User], dice: random.Random
    ) -> None:
        truth = {unit: family for family, units in every for unit in units}
        names = {family.name: family for family, _ in every}
        for neuron in layer.neurons.select_related("layer__network"):
            if neuron.index % 12 == 11:
                continue  # nobody has come to this one yet
            # Early curves echo, and pass for lines: one reader of four falls for it, so that what the family is
            # said to be does not tell the two apart.
            echoes = layer.name == "mixed3a" and truth[neuron.index].name == "Early Curves" and neuron.index % 3 != 0
            readers = dice.sample(CONTRIBUTORS, k=4 if echoes else 3 if neuron.index % 4 else dice.randint(1, 5))
            seen = list(
                EvidenceVersion.objects.filter(evidence__neuron=neuron, evidence__status="done").select_related(
                    "evidence"
                )
            )
            for reader in readers:
                family = truth[neuron.index]
                slip = dice.random()
                if slip < 0.03:
                    labels.add(
                        persons[reader],
                        neuron,
                        verdict="cannot tell",
                        missing_evidence="tuning_curves",
                        note="The picture alone does not settle it.",
                    )
                    continue
                if slip < 0.05 or (echoes and reader == readers[0]):
                    family = next(other for other in names.values() if other != family)
                labels.add(
                    persons[reader],
                    neuron,
                    verdict="family",
                    family=family,
                    confidence=dice.choice(["medium", "high", "high"]),
                    seen=seen,
                )


def documents(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The zoo's families as ``interchange.distill`` reads them."""
    return [
        {
            "name": family["name"],
            "units": family["units"],
            "comment": family["remark"],
            "symmetry": family["symmetry"],
            "parameters": family["parameters"],
        }
        for family in found
    ]
