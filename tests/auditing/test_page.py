from prom_reward.auditing.attacks import AttackFamily
from prom_reward.auditing.audit import audit
from prom_reward.auditing.page import audit_page, shown_limit
from prom_reward.auditing.rises import upper_limit
from tests.auditing.test_audit import judge, response_of


def test_the_page_escapes_what_it_shows(spoofed):
    html = audit_page(
        audit(
            judge(lambda prompt: 5 if "<script>" in response_of(prompt) else 1),
            quick=True,
            builtin=False,
            attacks=[AttackFamily(name="<b>", kind="semantic", texts=("<script>alert(1)</script>\u200b",))],
        )
    )
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{200b}" in html
    assert "&lt;b&gt;" in html
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "score_spoof" in audit_page(spoofed)


def test_a_limit_is_never_shown_lower_than_it_is():
    limit = upper_limit(0, 298)
    assert limit > 0.01
    assert shown_limit(0.0, limit) == "0.0 % (<= 1.01)"
    assert shown_limit(0.0, 0.01) == "0.0 % (<= 1.00)"
    assert shown_limit(0.0, upper_limit(0, 299)) == "0.0 % (<= 1.00)"
    assert shown_limit(None, None) == "-"
