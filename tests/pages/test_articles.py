"""A note as an article: figures, formulas, sources, and what became of what it names."""

import re
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from taxonomy import plans
from taxonomy.actions import labels
from taxonomy.models import Authorship, Membership, Neuron, Note, NoteVersion, Reveal, User
from taxonomy.pages.articles import Article, article
from taxonomy.rendering.markdown import References, render
from tests.factory import add_version, make_claim, make_run, make_user, neuron_at

BIBLIOGRAPHY = r"""
@article{olah2020zoom,
  author  = {Olah, Chris and Cammarata, Nick and Schubert, Ludwig and Goh, Gabriel and Petrov, Michael
             and Carter, Shan},
  title   = {Zoom In: An Introduction to Circuits},
  journal = {Distill}, year = 2020, doi = {10.23915/distill.00024.001}
}
@article{cammarata2021curve,
  author = {Cammarata, Nick and Goh, Gabriel and Carter, Shan and Voss, Chelsea and Schubert, Ludwig and Olah, Chris},
  title = {Curve Circuits}, journal = {Distill}, year = 2021, doi = {10.23915/distill.00024.006}
}
"""

BODY = r"""
## What a curve is made of

A curve is a line that turns. [[3b:1]] looks for one at $\theta_1 = 90°$, and its neighbours in [[family:3b/curves]] for
those in between [@olah2020zoom; @cammarata2021curve, fig. 3]. Its response is a sum over what comes before,

$$
a_i(x, y) = \mathrm{relu}\Bigl( b_i + \sum_{j} \sum_{u, v} w_{ij}(u, v) \, a_j(x + u, y + v) \Bigr),
$$

where $w_{ij}$ is positive where $|\theta_i - \theta_j| < 45°$.

![What excites [[3b:3]] most: $\arg\max_x a_{3}(x)$](/evidence/{examples}/)

## Excitation and inhibition

Curves of the same orientation excite, and those turned by 180° inhibit [@olah2020zoom].

![One neuron](/evidence/{one}/)
![Another one](/evidence/{other}/)

### By the numbers

| From | To | Weight |
|------|----|-------:|
| [[conv1:0]] | [[3b:1]] | $+0.81$ |
| [[conv1:1]] | [[3b:1]] | $-0.34$ |

## The matrix

Seen whole, the weights turn with the curve:

![From edges to curves](/evidence/{matrix}/)

> A circuit is falsifiable.

1. Remove the negative weights.
2. Look at the echoes again.
"""


def body_of(world: SimpleNamespace) -> str:
    def of(subject, kind: str) -> str:
        return str(subject.evidence.filter(kind=kind).first().current.public_id)

    return (
        BODY.replace("{examples}", of(world.read, "dataset_examples"))
        .replace("{one}", of(world.read, "feature_visualization"))
        .replace("{other}", of(world.agreed, "tuning_curves"))
        .replace("{matrix}", of(world.curves, "family_weights"))
    )


def make_version(world: SimpleNamespace, body: str, **fields) -> NoteVersion:
    """A note of this text that was submitted."""
    author = User.objects.filter(username="ada").first() or make_user("ada")
    note = Note.objects.create(network=world.network, created_by=author, opened_at=timezone.now(), opened_with=1)
    Authorship.objects.create(note=note, person=author, added_by=author, agreed_at=timezone.now())
    fields = {"title": "How curves are made", "abstract": "From *lines* to [[3b:1]].", "selection": "By rule."} | fields
    version = NoteVersion.objects.create(
        note=note, number=1, body=body, bibliography=BIBLIOGRAPHY, saved_by=author, **fields
    )
    note.submitted = version
    note.save()
    return version


def make_note(world: SimpleNamespace) -> Note:
    return make_version(world, body_of(world)).note


def read(version: NoteVersion, user=None) -> Article:
    return article(version, user or AnonymousUser(), References(version.note.network))


def test_an_article_is_made_of_all_its_parts(world):
    shown = read(make_version(world, body_of(world)))
    assert shown.problems == []
    assert shown.notices == []
    assert [source.key for source in shown.sources] == ["olah2020zoom", "cammarata2021curve"]
    assert [heading.level for heading in shown.contents] == [2, 2, 3, 2]
    assert shown.body.count('<figure class="shown"') == 4
    assert 'data-kind="family_weights"' in shown.body
    assert "<math" in shown.body
    assert "<em>lines</em>" in shown.abstract


def test_an_article_asks_no_more_for_many_things_than_for_few(world, django_assert_max_num_queries):
    few = make_version(world, body_of(world))
    many = make_version(world, body_of(world) + "\n\n[[3b:1]] [[conv1:2]] [[family:3b/secret lines]]" * 30)
    for version in (few, many):
        fresh = NoteVersion.objects.select_related("note__network").get(pk=version.pk)
        with django_assert_max_num_queries(11):
            read(fresh)


def test_a_figure_that_was_made_anew_says_so(world):
    version = make_version(world, body_of(world))
    evidence = world.read.evidence.filter(kind="feature_visualization").first()
    before, now = evidence.current, add_version(evidence, [])
    shown = read(version)
    assert len(shown.notices) == 1
    assert '<a href="#figure-2">Figure 2</a> shows evidence that was made anew since' in shown.notices[0]
    assert f'<a href="/evidence/{now.public_id}/">' in shown.notices[0]
    assert f"/evidence/{before.public_id}/" in shown.body, "the figure still shows what its authors saw"
    assert ">superseded</a>" in shown.body


def test_a_neuron_that_moved_and_a_family_that_was_retired_are_told(world):
    version = make_version(world, "[[3b:1]] in [[family:3b/curves]], [[3b:0]].")
    moved = neuron_at("3b:1")
    Membership.objects.filter(neuron=moved).update(ended_at=timezone.now())
    Membership.objects.create(family=world.lines, neuron=moved, made_by=world.editor)
    notices = read(version).notices
    assert len(notices) == 1
    assert "mixed3b:1</span></a> was in <a" in notices[0]
    assert ">Curves</a> when this was written, and is in <a" in notices[0]
    assert ">Secret Lines</a> now." in notices[0]

    world.curves.retired_at = timezone.now()
    world.curves.save()
    shown = read(version)
    assert "retired)</span></a>" in shown.body
    assert any("was retired" in notice for notice in shown.notices)
    assert shown.problems == [], "what is no more is no mistake"


def test_where_an_unsettled_neuron_stands_is_not_told(world):
    version = make_version(world, "[[3b:1]]")
    moved = neuron_at("3b:1")
    Membership.objects.filter(neuron=moved).update(ended_at=timezone.now())
    Neuron.objects.filter(pk=moved.pk).update(standing="open")
    assert read(version, world.contributor).notices == []
    assert len(read(version, world.readers[0]).notices) == 0, "who gave no reading of this one is not told either"


def test_a_refuted_claim_is_shown_as_refuted_and_reading_it_is_recorded(world):
    claim = make_claim(world.curves, sentence="Lines make <curves>.")
    text = f"[[claim:{claim.public_id}]]"
    version = make_version(world, f"As {text} says.\n")
    assert "not tested yet" in read(version).body
    run = make_run(claim, "refuted")
    shown = read(version, world.contributor)
    assert f'<a class="claimed" href="/claims/{claim.public_id}/">Lines make &lt;curves&gt;.</a>' in shown.body
    assert '<span class="badge ruling refuted">refuted</span>' in shown.body
    named = {index for of in plans.every_set(claim.plan) for index in of["channels"]}
    recorded = Reveal.objects.filter(person=world.contributor, neuron__layer=world.layer)
    unsettled = Neuron.objects.filter(layer=world.layer, index__in=named).exclude(standing="accepted")
    assert set(unsettled) <= {one.neuron for one in recorded}

    elsewhere = References(world.network)  # a comment: nobody records who reads it
    assert "a claim</a> " in render(text, elsewhere)
    assert "refuted" in render(text, elsewhere)
    assert "Lines make" not in render(text, elsewhere)

    figure = read(make_version(world, f"![What came of it](/evidence/{run.evidence.current.public_id}/)"))
    assert figure.problems == []


def test_a_claim_on_a_neuron_waits_for_ones_own_reading(world):
    labels.reveal(world.reviewer, world.unread)
    claim = make_claim(world.unread, world.reviewer, sentence="It is a curve.")
    run = make_run(claim, "supported")
    version = make_version(
        world, f"[[claim:{claim.public_id}]]\n\n![So](/evidence/{run.evidence.current.public_id}/)\n"
    )
    shown = read(version, world.contributor)
    assert "It is a curve." not in shown.body
    assert "a claim that you cannot see yet" in shown.body
    assert "This is of a claim that is shown after you have given your own reading." in shown.body


def test_who_is_near_a_neuron_is_no_figure(world):
    near = world.read.evidence.filter(kind="neighbours").first()
    shown = read(make_version(world, f"![Near](/evidence/{near.current.public_id}/)"))
    assert "Who is near a neuron changes with the others" in shown.body


def test_a_preview_reads_like_what_will_be_saved(world):
    saved = make_version(world, body_of(world))
    draft = NoteVersion(
        note=saved.note, number=2, title="x", body=saved.body, abstract=saved.abstract, bibliography=saved.bibliography
    )
    assert read(draft).body == read(saved).body


@pytest.mark.parametrize(
    ("asked", "inserted"),
    [
        ("3b:", [f"3b:{index}" for index in range(8)]),
        ("MIXED3B:7", ["mixed3b:7"]),
        ("conv", ["conv1:"]),
        ("curv", ["family:3b/Curves"]),
        ("family:3b/secret", ["family:3b/Secret Lines"]),
        ("family:conv1/", ["family:1/Edges"]),
        ("3b:9", []),
        ("9z:", []),
        ("3b:x", []),
        ("\0", None),
    ],
)
def test_what_a_reference_could_become(client, world, asked, inserted):
    html = client.get("/complete/", {"q": asked, "network": world.network.name}).content.decode()
    found = re.findall('data-insert="([^"]*)"', html)
    assert inserted is None or found == inserted
    for one in found:
        text = one if not one.endswith(":") else f"{one}0"
        assert "nowhere" not in References(world.network).html(text), "what is offered is found"


def test_nothing_is_completed_for_no_network(client, world):
    assert client.get("/complete/", {"q": "3b:"}).content.strip() == b""
    assert client.get("/complete/", {"q": "claim:"}).content.strip() == b""
