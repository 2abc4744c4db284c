from taxonomy import events
from taxonomy.models import Event
from taxonomy.pages.events import PAGE, told
from tests.factory import make_network, make_user


def test_activity_goes_back_event_by_event(client, db):
    network, person = make_network(), make_user("olga")
    for number in range(PAGE + 5):
        events.record(person, f"test.event{number}", network=network)
    html = client.get("/activity/?network=tinynet").content.decode()
    assert "test.event54" in html
    assert "test.event5<" in html
    assert "test.event4<" not in html
    last = Event.objects.get(verb="test.event5").pk
    older = f"?network=tinynet&amp;before={last}"
    assert older in html
    html = client.get("/activity/", {"network": "tinynet", "before": last}).content.decode()
    assert "test.event4<" in html
    assert "test.event5<" not in html
    assert "Older" not in html
    assert "Newest" in html


def test_a_list_of_events_takes_the_same_queries_however_long_it_is(world, django_assert_num_queries):
    events.record(world.editor, "proposal.made", proposal=world.proposal)
    events.record(world.editor, "person.appointed", person=world.reviewer)
    with django_assert_num_queries(2):  # the events, and the proposals that some of them name
        found = told(Event.objects.all(), 100)
        sentences = [f"{event.neuron} {event.family} {event.proposal} {event.person} {event.actor}" for event in found]
    assert len(sentences) == Event.objects.count()
