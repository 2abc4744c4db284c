from taxonomy.models import Comparison, EvidenceVersion, Job, Shard
from tests.factory import make_evidence, make_job, make_shard, neuron_at
from tests.pages.material import make_family_evidence


def test_progress_comes_as_a_fragment(client, world):
    job = make_job(world.network, world.readers[0], total=1200, done=300, status="running")
    page = client.get(job.get_absolute_url()).content.decode()
    assert 'hx-trigger="every 1s"' in page
    assert 'max="1200"' in page
    fragment = client.get(job.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith('<div id="job"')
    assert "<b>300</b> of 1,200 done" in fragment
    assert 'hx-trigger="every 2s"' in client.get("/jobs/").content.decode()


def test_a_finished_job_is_not_asked_again_and_gives_its_reasons(client, world):
    page = client.get(world.job.get_absolute_url()).content.decode()
    assert "hx-trigger" not in page
    assert "It may be dead." in page
    assert "mixed3b:4" in page


def test_retry_and_cancel_are_its_askers(client, world):
    address = world.job.get_absolute_url()
    client.force_login(world.contributor)
    page = client.get(address).content.decode()
    assert "Only the person who asked for a job" in page
    assert client.post(f"{address}retry/").status_code == 403
    client.force_login(world.readers[0])
    assert "queued again" in client.post(f"{address}retry/", follow=True).content.decode()
    assert Job.objects.get(pk=world.job.pk).status == "queued"
    assert "Stopped. What was done stays." in client.post(f"{address}cancel/", follow=True).content.decode()
    response = client.post(f"{address}cancel/")
    assert response.status_code == 403
    assert "already cancelled" in response.content.decode()
    assert client.get(f"{address}cancel/").status_code == 405


def test_nothing_to_retry_is_said_on_the_button(client, world):
    job = make_job(world.network, world.readers[0], total=1, done=1, status="done")
    make_shard(job, status="done")
    client.force_login(world.readers[0])
    assert "there is nothing to retry" in client.get(job.get_absolute_url()).content.decode()


def test_a_job_that_was_stopped_goes_on(client, world):
    client.force_login(world.readers[0])
    job = make_job(world.network, world.readers[0], total=1, status="running")
    make_shard(job, [make_evidence(neuron_at("3b:6"), status="queued")])
    address = job.get_absolute_url()
    assert ">Stop</button>" in client.get(address).content.decode()
    assert ">Go on</button>" in client.post(f"{address}cancel/", follow=True).content.decode()
    assert "It goes on where it was." in client.post(f"{address}retry/", follow=True).content.decode()
    assert "Retry what failed</button>" in client.get(world.job.get_absolute_url()).content.decode()


def test_passes_over_the_pictures_are_told_before_what_is_made_of_them(client, world):
    job = make_job(world.network, world.readers[0], total=2, status="running")
    for order, status in enumerate(("done", "running", "queued")):
        values = {"layers": ["conv1"], "first": 128 * order, "last": 128 * (order + 1)}
        make_shard(job, order=order, kind="survey", parameters=values, status=status)
    make_shard(job, order=3, kind="dataset_examples", stage=1, waiting=True)
    html = client.get(job.get_absolute_url()).content.decode()
    assert "<b>1</b> of 3 passes; what is made of them waits." in html
    assert "pass over pictures 128 to 255" in html
    assert "waits for passes" in html
    job.shards.update(status="done", waiting=False)
    assert "looked at in 3 passes." in client.get(job.get_absolute_url()).content.decode()


def test_a_batch_that_was_halved_and_a_family_that_failed_are_told(client, world):
    row = make_evidence(neuron_at("3b:6"))
    job = make_job(world.network, world.readers[0], total=2, done=1, failed=1, status="failed")
    version = EvidenceVersion.objects.create(evidence=row, number=2, environment={"halved": 1})
    row.current = version
    row.save()
    failed = make_family_evidence(world.lines, "joint_tuning", None, {}, status="failed", reason="It has no member.")
    make_shard(job, [row, failed])
    html = client.get(job.get_absolute_url()).content.decode()
    assert "For 1 of it memory ran out" in html
    assert "Secret Lines of mixed3b" in html


def test_a_job_that_runs_a_recipe_again_leads_to_what_came_out(client, world):
    job = make_job(world.network, world.readers[0])
    version = world.read.evidence.first().current
    compared = Comparison.objects.create(version=version, requested_by=world.readers[0], shard=make_shard(job))
    assert compared.get_absolute_url() in client.get(job.get_absolute_url()).content.decode()


def test_of_very_many_parts_the_unfinished_are_shown(client, world):
    job = make_job(world.network, world.readers[0], total=300, status="running")
    Shard.objects.bulk_create(
        Shard(job=job, order=order, kind="weights", status="done" if order < 299 else "running") for order in range(300)
    )
    html = client.get(job.get_absolute_url()).content.decode()
    assert "300, of which 200 are shown" in html
    assert '<th scope="row">300</th>' in html
