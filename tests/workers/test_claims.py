"""A claim's whole way with a real worker: stated, run, killed in between, ruled, shown."""

import pytest
from django.test import Client
from django.urls import reverse

from taxonomy.actions import claims
from taxonomy.models import Claim, Evidence, Network, Notification, Outcome, Role, Run
from tests.factory import make_family, make_user
from tests.workers.test_tasks import Workers, network, wait, workers  # noqa: F401
from workers import curve_network

PLAN = {
    "do": [{"do": "keep_positive", "from": "mixed3a/Early Curves", "to": "mixed3b/Curves"}],
    "show": {"kind": "sweep", "stimulus": "curve", "step": 10, "radii": [40], "strokes": [3]},
    "measure": {"what": "echo", "of": "mixed3b/Curves"},
    "expect": {"change": "rises", "margin": 0.1},
}


def taxonomy(network: Network) -> None:  # noqa: F811
    for layer, families in curve_network.families().items():
        for family in families:
            make_family(network.layers.get(name=layer), family["name"], units=family["units"])


@pytest.mark.slow
@pytest.mark.alone
def test_from_a_sentence_to_its_ruling(workers: Workers, network: Network) -> None:  # noqa: F811
    taxonomy(network)
    author, reviewer = make_user(), make_user(role=Role.REVIEWER)
    curves = network.layers.get(name="mixed3b").families.get(name="Curves")
    echo = claims.state(author, curves, kind="circuit", sentence="Negative weights keep echoes down.", plan=PLAN)
    nothing = PLAN | {"measure": {"what": "response", "of": "3b:0-7"}, "expect": {"change": "rises", "margin": 1e6}}
    never = claims.state(author, curves, kind="circuit", sentence="They rise by a million.", plan=nothing)
    for claim in (echo, never):
        claims.run(reviewer, claim)
    first = workers.start()
    wait(lambda: Evidence.objects.filter(status=Outcome.RUNNING).exists(), workers)
    first.kill()
    first.wait()
    workers.start()
    wait(lambda: not Run.objects.filter(ruling="").exists(), workers)
    runs = {run.claim: run for run in Run.objects.all()}
    assert (runs[echo].ruling, runs[never].ruling) == ("supported", "refuted")
    assert (runs[echo].n, runs[never].n) == (24, 8)
    assert runs[echo].low > 0.1
    assert Notification.objects.filter(person=author, event__verb__in=("claim.supported", "claim.refuted")).count() == 2
    client = Client()
    for claim, ruling, neurons in ((echo, "supported", 24), (never, "refuted", 8)):
        html = client.get(claim.get_absolute_url()).content.decode()
        assert "spoilt there" not in html
        assert f'<span class="badge {ruling}">{ruling}</span>' in html
        assert html.count('class="experiment tuned"') == neurons
        assert "20 controls" in html
    html = client.get(reverse("claims", args=[network.name])).content.decode()
    assert html.count(">supported</span>") == html.count(">refuted</span>") == 1
    assert Claim.objects.with_rulings().get(pk=echo.pk).ruling == "supported"
