import base64
import hashlib
import json
import re

from prom_reward.pages.page import Card, embedded, render

HOSTILE = '</script><script>alert(1)</script>" onload="x\u202e\ud800'


def page(**values):
    return render("pages/assets/frame.html", **{"kind": "Test", "title": "title", "facts": [], "cards": [], **values})


def test_every_value_is_escaped_and_can_be_written():
    html = page(title=HOSTILE, facts=[(HOSTILE, HOSTILE)], cards=[Card(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    assert "<script>" not in html
    assert '" onload="' not in html
    assert "\\u{202e}\\u{d800}" in html
    html.encode("utf-8")


def test_a_page_allows_nothing_from_outside_and_no_script():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page())[1]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_its_own_script_is_allowed_by_its_hash():
    html = page(script="let at = 1;")
    digest = base64.b64encode(hashlib.sha256(b"let at = 1;").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_embedded_json_cannot_end_its_element():
    text = str(embedded([{"text": HOSTILE}]))
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == [{"text": HOSTILE}]


def test_a_fact_without_a_value_is_left_out():
    assert "policy" not in page(facts=[("policy", ""), ("judge", "mine")])
