from taxonomy.models import Job
from tests.factory import make_job, make_shard


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
    assert "What was done stays." in client.post(f"{address}cancel/", follow=True).content.decode()
    response = client.post(f"{address}cancel/")
    assert response.status_code == 403
    assert "already cancelled" in response.content.decode()
    assert client.get(f"{address}cancel/").status_code == 405


def test_nothing_to_retry_is_said_on_the_button(client, world):
    job = make_job(world.network, world.readers[0], total=1, done=1, status="done")
    make_shard(job, status="done")
    client.force_login(world.readers[0])
    assert "there is nothing to retry" in client.get(job.get_absolute_url()).content.decode()
