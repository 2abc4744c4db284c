import pytest

from tests.factory import make_network


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("3b:3", "/networks/tinynet/mixed3b/3/"),
        (" mixed3b:3 ", "/networks/tinynet/mixed3b/3/"),
        ("tinynet/3b:3", "/networks/tinynet/mixed3b/3/"),
        ("3b", "/networks/tinynet/mixed3b/"),
        ("tinynet", "/networks/tinynet/"),
        ("tinynet/conv1", "/networks/tinynet/conv1/"),
    ],
)
def test_addresses_jump(client, world, asked, found):
    assert client.get("/go/", {"q": asked}).url == found


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("3b:8", "numbered 0 to 7"),
        ("9z:1", "has no layer"),
        ("3b:x", "is not a neuron"),
        ("nonsense", "is no neuron, layer or network here"),
        ("<script>:1", "is not a neuron"),
    ],
)
def test_what_is_not_there_is_told(client, world, asked, sentence):
    response = client.get("/go/", {"q": asked})
    assert response.status_code == 404
    assert sentence in response.content.decode()
    assert "<script>:1" not in response.content.decode()


def test_odd_questions_are_harmless(client, world):
    assert client.get("/go/").status_code == 200
    assert client.get("/go/?q=%00&network=%00").status_code == 200
    assert client.get("/go/", {"q": "x" * 5000}).status_code == 404


def test_the_network_at_hand_comes_first(client, world):
    make_network("other")
    assert client.get("/go/?q=3b:3&network=other").url == "/networks/other/mixed3b/3/"
    html = client.get("/go/?q=3b:3").content.decode()
    assert "tinynet/mixed3b:3" in html
    assert "other/mixed3b:3" in html
