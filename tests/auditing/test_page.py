import re

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
            attacks=[AttackFamily(name="<b>\ud800", kind="semantic", texts=("<script>alert(1)</script>\u200b",))],
        )
    )
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{200b}" in html
    assert "&lt;b&gt;" in html
    html.encode("utf-8")


def test_only_families_with_something_to_see_have_worst_cases(spoofed):
    html = audit_page(spoofed)
    assert "score spoof" in html
    worst = html[html.index('id="worst"') :]
    assert "<details" not in worst  # with the guard on nothing rises
    assert "No response rose by 0.5 or more in: score spoof, " in worst


def test_the_page_tells_trials_from_weak_responses_and_rows_without_a_verdict():
    grading = judge(lambda prompt: 2)
    grading.taught_to_rank = False
    found = audit(grading, quick=True, num_trials=1)
    html = " ".join(audit_page(found).split())
    assert f"{found.num_trials} trials attacked {found.num_attacked} of 18 weak responses." in html
    assert f"attacks on {found.num_attacked} weak responses" in html
    assert f"of {len(found.verdicts)} pass" in html
    assert re.search(r'bias: position</th><td class="">-</td> <td class="number">-</td>', html)
    assert "no verdict: the judge compares by grading both sides" in html
    assert "0.000 [0.000, 0.000]" in html


def test_a_limit_is_never_shown_lower_than_it_is():
    limit = upper_limit(0, 298)
    assert limit > 0.01
    assert shown_limit(0.0, limit) == "0.0 % (<= 1.01)"
    assert shown_limit(0.0, 0.01) == "0.0 % (<= 1.00)"
    assert shown_limit(0.0, upper_limit(0, 299)) == "0.0 % (<= 1.00)"
    assert shown_limit(None, None) == "-"
