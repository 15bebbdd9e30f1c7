import base64

from tests.serving.scripted_service import client_of

HOSTILE = "s4</pre><script>alert(1)</script>\u202e"


def post(client, *completions):
    return client.post("/v1/reward", json={"rows": [{"prompt": "Hi", "completion": one} for one in completions]})


def test_the_page_shows_what_is_judged_and_asks_for_itself_again(client):
    empty = client.get("/")
    assert "Nothing was graded yet" in empty.text
    assert int(empty.headers["refresh"]) > 0
    post(client, "s5", "s1", "fail")
    page = client.get("/").text
    assert page.count("<details") == 3
    assert page.count("<svg") == 2
    assert "4.75" in page
    assert "engine_failed" in page
    assert "of 3 in the last 2 minutes" in page


def test_no_text_of_a_policy_becomes_markup(client):
    post(client, HOSTILE)
    page = client.get("/").text
    assert "<script>alert" not in page
    assert "\\u{202e}" in page


def test_a_browser_gives_the_key_as_a_password():
    with client_of(key="sesame") as client:
        asked = client.get("/")
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic")
        for password, status in (("sesame", 200), ("sesam", 401)):
            given = base64.b64encode(f"me:{password}".encode()).decode()
            assert client.get("/", headers={"authorization": f"Basic {given}"}).status_code == status
        assert client.get("/", headers={"authorization": "Basic ?"}).status_code == 401
