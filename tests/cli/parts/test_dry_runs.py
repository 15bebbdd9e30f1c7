from prom_reward.cli.parts.dry_runs import first_prompt
from prom_reward.config import load_judge

SERVER = {"url": "http://127.0.0.1:9/v1", "mode": "feedback"}


class Elsewhere:
    """A judge whose prompts are made elsewhere."""


def test_the_prompt_of_a_server_with_its_own_chat_template_is_shown_without_it(request_of):
    shown = first_prompt([request_of("Rome.")], load_judge(SERVER), SERVER, {})
    assert "###Response to evaluate:\nRome." in shown


def test_no_prompt_is_shown_if_it_is_made_elsewhere_or_nothing_is_asked(request_of):
    assert first_prompt([request_of("Rome.")], Elsewhere(), "smollm2-135m", {}) is None
    assert first_prompt([], load_judge("smollm2-135m"), "smollm2-135m", {}) is None
