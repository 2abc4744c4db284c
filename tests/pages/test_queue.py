"""The labelling queue in the browser: by keyboard, without a connection, without JavaScript, with axe."""

import statistics
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from taxonomy.actions import gold
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Label, Lease, Neuron, Reveal, Role, User, Verdict
from tests.factory import make_evidence, make_family, make_label, make_network, make_user, picture
from tests.pages.test_accessibility import SETTINGS, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ADDRESS = "/label/?network=tinynet&layer=mixed3b"


def layer_of_pictures(channels: int = 30, pictured: int = 28, name: str = "tinynet") -> SimpleNamespace:
    """A layer with families, some in others, of which these first neurons have a picture each and ask for readings."""
    network = make_network(name, layers={"conv1": 2, "mixed3b": channels})
    layer = network.layers.get(name="mixed3b")
    families = {name: make_family(layer, name) for name in ("Curves", "Edges", "Grids", "Textures", "Fur", "Spots")}
    for child in ("Fur", "Grids"):
        families[child].parent = families["Textures"]
        families[child].save()
    neurons = list(layer.neurons.order_by("index"))
    for neuron in neurons[:pictured]:
        neuron.layer = layer
        colour = (40 + 7 * neuron.index % 200, 90, 200 - 6 * neuron.index % 150)
        make_evidence(neuron, pictures={"image": picture(64, colour)}, data={"value": 1.0, "steps": 8, "canvas": 8})
    build_sprite(layer)
    return SimpleNamespace(network=network, layer=layer, families=families, neurons=neurons)


@pytest.fixture
def stock(db) -> SimpleNamespace:
    return layer_of_pictures()


@pytest.fixture
def ada(db) -> User:
    return make_user("ada")


@pytest.fixture
def page(browser: Browser, live_server, ada: User) -> Iterator[Page]:
    """Ada's page. Requests may fail here, scripts may not."""
    context = browser.new_context(base_url=live_server.url)
    page, complaints = context.new_page(), []
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto("/healthz")
    sign_in(page, ada)
    yield page
    at_rest(page)
    context.close()
    assert [words for words in complaints if "Failed to load resource" not in words] == []


def at_rest(page: Page) -> None:
    """Wait for what the page still asks for: the database is emptied after the test."""
    page.context.set_offline(False)
    page.unroute_all(behavior="ignoreErrors")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)


def open_queue(page: Page, address: str = ADDRESS) -> None:
    page.goto(address)
    expect(page.locator(".queue.scripted")).to_be_visible()
    page.wait_for_load_state("networkidle")


def address_of(page: Page) -> str:
    return page.locator(".look h1").inner_text()


def key_of(page: Page, family: str) -> str:
    return page.locator(f'[data-name="{family.lower()}"] button').get_attribute("data-key")


def all_sent(page: Page) -> None:
    """Once nothing waits in the browser any more."""
    for _ in range(200):
        if page.evaluate("Object.keys(localStorage).every((key) => localStorage[key] === '[]')"):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"Still there: {page.evaluate('JSON.stringify(localStorage)')}")


def neuron(address: str) -> Neuron:
    return Neuron.objects.at("tinynet", address)


def test_twenty_neurons_by_keyboard(page: Page, stock: SimpleNamespace, ada: User, record_property) -> None:
    make_label(stock.neurons[5], family=stock.families["Spots"], note="Never shown.")
    open_queue(page)
    names, meant = list(stock.families), {}
    for number in range(20):
        address, name = address_of(page), names[number % len(names)]
        meant[address] = name
        assert "Never shown" not in page.content()
        page.keyboard.press(key_of(page, name))
        expect(page.locator(".look h1")).not_to_have_text(address)
    all_sent(page)
    assert len(meant) == 20
    given = {label.neuron.address: label for label in Label.objects.filter(author=ada).select_related("neuron__layer")}
    assert {address: label.family.name for address, label in given.items()} == meant
    assert all(label.blind and label.lease.label_id == label.pk for label in given.values())
    assert all(label.seen.count() == 1 for label in given.values())
    assert not Reveal.objects.exists()
    assert page.locator("[data-sitting]").inner_text() == "20"
    times = page.evaluate("performance.getEntriesByName('next neuron').map((entry) => entry.duration)")
    assert len(times) == 20
    line = f"key to next neuron on screen: p50 {statistics.median(times):.0f} ms, longest {max(times):.0f} ms"
    record_property("queue", line)
    print(line)


def test_every_command(page: Page, stock: SimpleNamespace, ada: User) -> None:
    open_queue(page)

    def last() -> Label:
        all_sent(page)
        return Label.objects.filter(author=ada).latest("pk")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("1")  # not a reading while help is open
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert not Label.objects.exists()
    first = address_of(page)
    page.keyboard.press("x")
    page.keyboard.press(page.locator("[value=dataset_examples]").get_attribute("data-key"))
    assert (last().verdict, last().missing_evidence, last().neuron.address) == (
        "cannot tell",
        "dataset_examples",
        first,
    )
    page.keyboard.press("n")
    page.keyboard.type("Blobs")
    page.keyboard.press("Enter")
    assert (last().verdict, last().suggested_name) == ("none of these", "Blobs")
    page.locator('[data-name="fur"] button').focus()
    page.keyboard.press("c")
    assert (last().family, last().no_finer) == (stock.families["Textures"], False)
    page.keyboard.press("c")
    page.keyboard.press(key_of(page, "Textures"))
    assert (last().family, last().no_finer) == (stock.families["Textures"], True)
    page.keyboard.press("p")
    page.keyboard.press(key_of(page, "Edges"))
    page.keyboard.press(key_of(page, "Curves"))
    page.keyboard.press("Enter")
    assert (last().family, list(last().further.all())) == (stock.families["Edges"], [stock.families["Curves"]])
    page.keyboard.press("o")
    page.keyboard.type("1 curve, x2")
    page.get_by_label("high").check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("spo")
    page.keyboard.press("Enter")
    assert (last().family, last().note, last().confidence) == (stock.families["Spots"], "1 curve, x2", "high")
    skipped = address_of(page)
    page.keyboard.press("s")
    expect(page.locator(".told")).to_contain_text(f"{skipped} skipped")
    assert Label.objects.filter(author=ada).count() == 6
    page.reload()
    page.wait_for_load_state("networkidle")
    assert not Lease.objects.live().filter(person=ada, neuron=neuron(skipped)).exists()


def test_undo_brings_the_neuron_back(page: Page, stock: SimpleNamespace, ada: User) -> None:
    open_queue(page)
    first = address_of(page)
    page.keyboard.press("1")
    expect(page.locator("[data-left]")).to_contain_text("seconds")
    second = address_of(page)
    page.keyboard.press("u")
    expect(page.locator(".look h1")).to_have_text(first)
    label = Label.objects.get(author=ada)
    assert label.undone_at is not None
    assert neuron(first).readings == 0
    page.keyboard.press(key_of(page, "Spots"))
    expect(page.locator(".look h1")).to_have_text(second)
    all_sent(page)
    assert Label.objects.current().get(author=ada).family == stock.families["Spots"]
    assert page.locator("[data-sitting]").inner_text() == "1"
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator(".look h1")).to_have_text(first)
    assert not Label.objects.current().filter(author=ada).exists()


def test_without_a_connection_nothing_is_lost_or_doubled(
    page: Page, browser: Browser, stock: SimpleNamespace, ada: User
) -> None:
    open_queue(page)
    expected = []
    page.context.set_offline(True)
    for _ in range(3):
        expected.append(address_of(page))
        page.keyboard.press("1")
    expect(page.locator("[data-sending]")).to_contain_text("3 readings kept here")
    expect(page.locator(".waiting-seat")).to_contain_text("comes with the connection")
    assert not Label.objects.exists()
    page.context.set_offline(False)
    all_sent(page)
    expect(page.locator(".look h1")).to_be_visible()
    expect(page.locator("[data-sending]")).to_be_empty()
    assert sorted(label.neuron.address for label in Label.objects.all()) == sorted(expected)
    # An answer that is lost on the way: the reading is there, and is sent again.
    address = address_of(page)
    lost = []

    def lose(route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch())
            route.abort()
        else:
            route.continue_()

    page.route("**/label/", lose)
    page.keyboard.press("2")
    all_sent(page)
    assert lost
    assert Label.objects.filter(neuron=neuron(address)).count() == 1
    assert Label.objects.count() == 4


def test_readings_that_were_kept_are_sent_by_the_next_visit(page: Page, stock: SimpleNamespace) -> None:
    open_queue(page)
    address = address_of(page)
    page.route("**/label/", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.keyboard.press("1")
    expect(page.locator("[data-sending]")).to_contain_text("1 reading kept here")
    page.unroute("**/label/")
    page.reload()
    all_sent(page)
    expect(page.locator(".look h1")).not_to_have_text(address)
    assert Label.objects.get().neuron.address == address


def test_what_is_refused_is_told_and_kept(page: Page, stock: SimpleNamespace, ada: User) -> None:
    open_queue(page)
    address = address_of(page)
    lease = Lease.objects.get(person=ada, neuron=neuron(address))
    Lease.objects.filter(pk=lease.pk).update(ended_at=lease.taken_at)
    page.keyboard.press("1")
    refused = page.locator("[data-refused]")
    expect(refused).to_contain_text("was not handed to you")
    assert not Label.objects.exists()
    page.reload()
    expect(refused).to_contain_text(address)
    refused.get_by_role("button", name="Give it anyway").click()
    all_sent(page)
    expect(refused).to_be_empty()
    assert Label.objects.get().neuron.address == address


def test_gold_is_told_at_once_and_to_nobody_else(page: Page, stock: SimpleNamespace, ada: User, monkeypatch) -> None:
    monkeypatch.setattr("taxonomy.actions.leases.GOLD_CHANCE", 1)
    golden = stock.neurons[3]
    by = make_user(role=Role.EDITOR)
    family = stock.families["Spots"]
    family.memberships.create(neuron=golden, made_by=by)
    Neuron.objects.filter(pk=golden.pk).update(standing="accepted", asks=0)
    gold.mark(by, Neuron.objects.get(pk=golden.pk), "Clear.")
    open_queue(page)
    for _ in range(3):
        if address_of(page) == golden.address:
            break
        page.keyboard.press(key_of(page, "Curves"))
    assert address_of(page) == golden.address
    assert "accepted" not in page.locator(".sitting").inner_text().lower()
    page.keyboard.press(key_of(page, "Curves"))
    expect(page.locator(".told.gold")).to_contain_text("you said Curves; it is accepted as Spots")
    expect(page.locator(".told.gold")).to_contain_text("Only you are told")
    label = Label.objects.get(neuron=golden)
    assert label.gold
    assert label.blind


def test_nothing_is_left(page: Page, stock: SimpleNamespace) -> None:
    Neuron.objects.exclude(pk__in=[one.pk for one in stock.neurons[:2]]).update(asks=0)
    open_queue(page)
    page.keyboard.press("1")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing waits for you in mixed3b")
    assert Label.objects.count() == 2


def test_single_letters_can_be_switched_off(page: Page, stock: SimpleNamespace, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(shortcuts=False)
    open_queue(page)
    first = address_of(page)
    for key in "12acxnpuso?":
        page.keyboard.press(key)
    assert address_of(page) == first
    page.locator('[data-name="curves"] button').focus()
    page.keyboard.press("Enter")
    expect(page.locator(".look h1")).not_to_have_text(first)
    all_sent(page)
    assert Label.objects.get().family == stock.families["Curves"]


def without_script(browser: Browser, live_server, person: User) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    helper = browser.new_context(base_url=live_server.url)
    page = helper.new_page()
    page.goto("/healthz")
    sign_in(page, person)
    context.add_cookies(helper.cookies())
    helper.close()
    return context


def test_without_javascript(browser: Browser, live_server, stock: SimpleNamespace, ada: User) -> None:
    context = without_script(browser, live_server, ada)
    page = context.new_page()
    page.goto(ADDRESS)
    first = address_of(page)
    page.get_by_role("button", name="Curves").click()
    expect(page.locator(".told")).to_contain_text(f"{first} read as Curves")
    assert address_of(page) != first
    page.get_by_role("button", name="Take it back").click()
    assert address_of(page) == first
    page.locator("summary", has_text="None of these").click()
    page.get_by_label("What would you call it?").fill("Blobs")
    page.keyboard.press("Enter")
    expect(page.locator(".told")).to_contain_text(f"{first} read as none of these")
    assert Label.objects.current().get().suggested_name == "Blobs"
    page.locator("summary", has_text="Cannot tell").click()
    page.get_by_role("button", name="Dataset examples").click()
    expect(page.locator(".told")).to_contain_text("read as cannot tell")
    assert Label.objects.filter(verdict=Verdict.CANNOT_TELL).count() == 1
    skipped = address_of(page)
    page.get_by_role("button", name="Skip").click()
    expect(page.locator(".look h1")).not_to_have_text(skipped)
    page.locator("summary", has_text="Note").click()
    page.get_by_label("Polysemantic: it means several things").check()
    page.get_by_label("Spots").check()
    page.get_by_role("button", name="Edges").click()
    expect(page.locator(".told")).to_contain_text("read as Edges, polysemantic")
    label = Label.objects.latest("pk")
    assert (label.family.name, [family.name for family in label.further.all()]) == ("Edges", ["Spots"])
    context.close()


@pytest.mark.parametrize("setting", SETTINGS)
def test_axe_finds_nothing(page: Page, stock: SimpleNamespace, setting: str) -> None:
    page.set_viewport_size({"width": SETTINGS[setting]["width"], "height": 800})
    page.emulate_media(color_scheme=SETTINGS[setting]["color_scheme"])
    open_queue(page)
    found = []

    def look(state: str) -> None:
        for violation in Axe().run(page).response["violations"]:
            found.append(f"{state}: {violation['id']}: {violation['nodes'][0]['html'][:160]}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{state} scrolls sideways")

    look("at first")
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()
    for key in "xno":
        page.keyboard.press(key)
        look(f"after {key}")
        page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.keyboard.press("1")
    look("with several")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    look("with help")
    assert found == []
