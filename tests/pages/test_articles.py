"""A note as an article: figures, formulas, sources, and what became of what it names."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from taxonomy.models import Authorship, Claim, Membership, Note, NoteVersion, User
from taxonomy.pages.articles import Article, article
from taxonomy.rendering.markdown import References
from tests.factory import add_version, make_family, make_user, neuron_at
from tests.pages.material import make_family_evidence

BIBLIOGRAPHY = r"""
@article{olah2020zoom,
  author  = {Olah, Chris and Cammarata, Nick and Schubert, Ludwig and Goh, Gabriel and Petrov, Michael and Carter, Shan},
  title   = {Zoom In: An Introduction to Circuits},
  journal = {Distill}, year = 2020, doi = {10.23915/distill.00024.001}
}
@article{cammarata2021curve,
  author = {Cammarata, Nick and Goh, Gabriel and Carter, Shan and Voss, Chelsea and Schubert, Ludwig and Olah, Chris},
  title = {Curve Circuits}, journal = {Distill}, year = 2021, doi = {10.23915/distill.00024.006}
}
"""

BODY = r"""
# What a curve is made of

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
    note = Note.objects.create(network=world.network, created_by=author, opened_at=timezone.now())
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
