from taxonomy.models import Membership, Neuron, Reveal, Standing
from tests.factory import make_label


def test_reviewers_see_what_is_agreed_and_accept_it(client, world):
    client.force_login(world.reviewer)
    html = client.get("/review/").content.decode()
    assert "tinynet/mixed3b:2" in html
    assert Reveal.objects.filter(person=world.reviewer, neuron=world.agreed).exists()
    response = client.post(
        f"{world.agreed.get_absolute_url()}accept/", {"comment": "Clear.", "back": "review"}, follow=True
    )
    assert "mixed3b:2 is accepted into Curves." in response.content.decode()
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.ACCEPTED
    assert Membership.objects.get(neuron=world.agreed).review.comment == "Clear."


def test_others_are_told_who_reviews(client, world):
    for user, sentence in ((None, "Sign in to review."), (world.contributor, "Only reviewers and editors accept")):
        if user:
            client.force_login(user)
        html = client.get("/review/").content.decode()
        assert sentence in html
        assert "mixed3b:2" not in html
        response = client.post(f"{world.agreed.get_absolute_url()}accept/")
        assert response.status_code == 403
        assert sentence in response.content.decode()


def test_ones_own_deciding_reading_disables_the_button_with_the_reason(client, world):
    reader = world.readers[0]
    reader.role = "reviewer"
    reader.save()
    client.force_login(reader)
    html = client.get("/review/").content.decode()
    assert "Your own reading decides this one" in html
    assert "disabled" in html.split("Your own reading decides this one")[0].rsplit("<button", 1)[1]
    response = client.post(f"{world.agreed.get_absolute_url()}accept/")
    assert response.status_code == 403
    assert "Your own reading decides this one" in response.content.decode()


def test_bad_comments_change_nothing(client, world):
    client.force_login(world.reviewer)
    for comment in ("a\0b", "x" * 5001):
        client.post(f"{world.agreed.get_absolute_url()}accept/", {"comment": comment})
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.AGREED


def test_the_queue_keeps_its_order_and_drops_what_is_no_longer_agreed(client, world):
    client.force_login(world.reviewer)
    make_label(world.agreed, world.contributor, world.lines)
    make_label(world.agreed, world.editor, world.lines)
    assert "No neuron waits for a reviewer." in client.get("/review/").content.decode()
