from html.parser import HTMLParser

from hypothesis import given, strategies as st

from prom_reward.types import Comparison, Judgment, Outcome

any_text = st.text(st.characters(exclude_categories=()))


class Elements(HTMLParser):
    """Collects the names of all elements, and the text."""

    def __init__(self, html):
        super().__init__()
        self.names, self.text = set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)

    def handle_data(self, data):
        self.text += data


def test_a_judgment_is_a_card_with_score_distribution_and_feedback():
    probs = {1: 0.25, 5: 0.75}
    judgment = Judgment(outcome=Outcome.SCORED, score=5, expected_score=4.0, score_probs=probs, feedback="Good.")
    html = judgment._repr_html_()
    shown = Elements(html)
    assert "expected score 4" in shown.text
    assert "Good." in shown.text
    assert 'aria-label="1: 25.0%, 5: 75.0%"' in html
    assert "num_" not in html


def test_a_comparison_without_a_verdict_says_why():
    shown = Elements(Comparison(outcome=Outcome.ENGINE_FAILED, error="the server is down")._repr_html_())
    assert "engine_failed" in shown.text
    assert "the server is down" in shown.text


@given(any_text)
def test_any_feedback_stays_text(text):
    judgment = Judgment(outcome=Outcome.NO_RESULT, feedback=text, flags=(f"<b>{text}",), error=f"<script>{text}")
    html = judgment._repr_html_()
    html.encode()
    assert Elements(html).names <= {"div", "b"}
    assert "<script>" not in html
