"""The prompts against their sources: files kept here, FastChat's conversations, prometheus-eval's constants."""

import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType

import pytest

from prom_reward.prompts.conversation import LLAMA_2, MISTRAL, render_text
from prom_reward.prompts.prometheus import TASK_TEXTS
from prom_reward.prompts.template import SCORE_PREFIX, comparison_prompt, grading_prompt
from prom_reward.types import ComparisonRequest, GradingRequest, JudgePrompt, Rubric

HERE = Path(__file__).parent
V1, V2 = TASK_TEXTS["prometheus-v1"], TASK_TEXTS["prometheus-v2"]
NUM_DRAWN = 240
PIECES = (
    *("Name the capital of France.", "Paris.", "import os\n\nprint({'a': 1})", "{instruction}", "{response_A}", "{}"),
    *("###Score Rubrics:", "[RESULT] 5", "[/INST]", "  two  spaces  ", "\ttab", "\n\n", "</s>", "100 %", "\\n", '"q"'),
    *(
        "می‌خواهم بدانم",
        "नमस्ते क्‍ष",
        "日本語のテキスト。",
        "Ünïcödé",
        "👩‍👩‍👧‍👦 ok",
        "e\u0301",
        "\u00a0",
        "$x^2$",
        "# Heading",
        "- item",
    ),
)
RUBRIC = Rubric.parse(
    {
        "criteria": "Is the answer right, and does it say why?",
        "score1_description": "Wrong.",
        "score2_description": "Mostly wrong.",
        "score3_description": "Right, without a reason.",
        "score4_description": "Right, with a weak reason.",
        "score5_description": "Right, with a good reason — «sûr».",
    }
)
INSTRUCTION, REFERENCE = "Which is larger, 9.11 or 9.9?\nGive a reason.", "9.9, as 0.90 > 0.11."
RESPONSE = "9.9, since 0.9 is more than 0.11. {rubric} 😀"


def _drawn(seed: int) -> tuple[str, str, str, str | None, Rubric]:
    """Return instruction, two responses, reference (for three of four seeds) and rubric."""
    rng = random.Random(seed)

    def text() -> str:
        return " ".join(rng.choices(PIECES, k=rng.randint(1, 8)))

    criteria = text().replace("\n", " ").strip() or "c"
    levels = {label: text() for label in range(1, 6)}
    rubric = Rubric(name="drawn", criteria=criteria, descriptions=levels)
    return text(), text(), text(), text() if seed % 4 else None, rubric


def _grading(seed: int) -> GradingRequest:
    instruction, response, _, reference, rubric = _drawn(seed)
    return GradingRequest(instruction=instruction, response=response, rubric=rubric, reference_answer=reference)


def _comparison(seed: int) -> ComparisonRequest:
    instruction, a, b, reference, rubric = _drawn(seed)
    return ComparisonRequest(
        instruction=instruction, response_a=a, response_b=b, rubric=rubric, reference_answer=reference
    )


@pytest.fixture(scope="module")
def constants() -> ModuleType:
    """prometheus_eval/prompts.py, loaded by its path: the package itself imports a client of every vendor."""
    package = importlib.util.find_spec("prometheus_eval")
    if package is None:
        pytest.skip("prometheus-eval is not installed")
    path = Path(package.submodule_search_locations[0]) / "prompts.py"
    spec = importlib.util.spec_from_file_location("prometheus_eval_prompts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fastchat_text():
    """Renders one turn with FastChat: (template name, system message, user text) -> text."""
    conversation = pytest.importorskip("fastchat.conversation")

    def render(name: str, system: str, user: str) -> str:
        conv = conversation.get_conv_template(name)
        conv.set_system_message(system)
        conv.append_message(conv.roles[0], user)
        conv.append_message(conv.roles[1], None)
        return conv.get_prompt()

    return render


def _published_absolute(constants: ModuleType, request: GradingRequest) -> str:
    template = constants.get_prompt_template("absolute", request.reference_answer is not None)
    levels = {f"score{label}_description": text for label, text in request.rubric.descriptions.items()}
    rubric = constants.SCORE_RUBRIC_TEMPLATE.format(criteria=request.rubric.criteria, **levels)
    return template.format(
        instruction=request.instruction,
        response=request.response,
        reference_answer=request.reference_answer,
        rubric=rubric,
    )


def _published_v1(constants: ModuleType, request: GradingRequest) -> str:
    lines = _published_absolute(constants, request).split("\n")
    lines[4] = lines[4].replace('"(write a feedback', '"Feedback: (write a feedback')
    return "\n".join(lines)


def test_the_drawn_requests_cover_both_forms_and_unicode():
    drawn = [_drawn(seed) for seed in range(NUM_DRAWN)]
    assert sum(reference is None for _, _, _, reference, _ in drawn) == NUM_DRAWN // 4
    assert sum(not response.isascii() for _, response, _, _, _ in drawn) > NUM_DRAWN // 2
    assert len({response for _, response, _, _, _ in drawn}) > 200


@pytest.mark.parametrize("seed", range(NUM_DRAWN))
def test_v1_equals_the_published_text_in_fastchats_llama_2(constants, fastchat_text, seed):
    request = _grading(seed)
    ours = render_text(LLAMA_2, grading_prompt(request, V1, guard=False))
    user = _published_v1(constants, request)
    assert '3. The output format should look as follows: "Feedback: (write' in user
    assert ours == fastchat_text("llama-2", "You are a fair evaluator language model.", user)


@pytest.mark.parametrize("seed", range(NUM_DRAWN))
def test_v2_absolute_equals_the_published_text_in_fastchats_mistral(constants, fastchat_text, seed):
    request = _grading(seed)
    ours = render_text(MISTRAL, grading_prompt(request, V2, guard=False))
    assert ours == fastchat_text("mistral", constants.ABS_SYSTEM_PROMPT, _published_absolute(constants, request))


@pytest.mark.parametrize("seed", range(NUM_DRAWN))
def test_v2_relative_equals_the_published_text_in_fastchats_mistral(constants, fastchat_text, seed):
    request = _comparison(seed)
    template = constants.get_prompt_template("relative", request.reference_answer is not None)
    user = template.format(
        instruction=request.instruction,
        response_A=request.response_a,
        response_B=request.response_b,
        reference_answer=request.reference_answer,
        rubric=request.rubric.text.split("\n")[0],
    )
    ours = render_text(MISTRAL, comparison_prompt(request, V2, guard=False))
    assert ours == fastchat_text("mistral", constants.REL_SYSTEM_PROMPT, user)


@pytest.mark.parametrize("name", ["helpfulness", "harmlessness", "honesty", "factual_validity", "reasoning"])
def test_the_published_rubrics_parse_and_give_their_own_bytes(constants, name):
    text = constants.load_rubric(name, "absolute")
    rubric = Rubric.parse(text)
    request = ComparisonRequest(instruction="i", response_a="a", response_b="b", rubric=rubric)
    assert rubric.text == text
    assert f"\n{constants.load_rubric(name, 'relative')}\n" in comparison_prompt(request, V2).user


@pytest.mark.parametrize(("name", "conversation"), [("llama-2", LLAMA_2), ("mistral", MISTRAL)])
def test_a_conversation_without_system_message_is_fastchats(fastchat_text, name, conversation):
    assert render_text(conversation, JudgePrompt("", "task")) == fastchat_text(name, "", "task")


@pytest.mark.parametrize(("name", "conversation"), [("llama-2", LLAMA_2), ("mistral", MISTRAL)])
def test_a_judges_answer_stands_where_fastchat_puts_it(name, conversation):
    fastchat = pytest.importorskip("fastchat.conversation")
    conv = fastchat.get_conv_template(name)
    conv.set_system_message("system")
    conv.append_message(conv.roles[0], "task")
    conv.append_message(conv.roles[1], f"{SCORE_PREFIX}4")
    prompt = JudgePrompt("system", "task", f"{SCORE_PREFIX}4")
    assert conv.get_prompt().removesuffix(conv.sep2).rstrip() == render_text(conversation, prompt)


@pytest.mark.data
def test_v1_equals_the_prompt_of_every_benchmark_row(data_folder):
    lines = (data_folder / "prometheus/mt_bench_eval.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 80
    for row in rows:
        request = GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            rubric=Rubric.parse(row["rubric"]),
            reference_answer=row["reference_answer"],
        )
        assert grading_prompt(request, V1).user == row["prompt"]


def _kept_prompts() -> dict[str, str]:
    graded = {"instruction": INSTRUCTION, "response": RESPONSE, "rubric": RUBRIC}
    compared = {"instruction": INSTRUCTION, "response_a": RESPONSE, "response_b": "9.11.", "rubric": RUBRIC}
    prompts = {}
    for suffix, reference in (("", REFERENCE), ("_without_reference", None)):
        grading = GradingRequest(**graded, reference_answer=reference)
        comparison = ComparisonRequest(**compared, reference_answer=reference)
        prompts[f"v1_absolute{suffix}"] = render_text(LLAMA_2, grading_prompt(grading, V1))
        prompts[f"v2_absolute{suffix}"] = render_text(MISTRAL, grading_prompt(grading, V2))
        prompts[f"v2_relative{suffix}"] = render_text(MISTRAL, comparison_prompt(comparison, V2))
    return prompts


KEPT = sorted(_kept_prompts())


@pytest.mark.parametrize("name", KEPT)
def test_a_rendered_prompt_equals_its_kept_file(name):
    assert _kept_prompts()[name].encode() == (HERE / f"{name}.txt").read_bytes()


def test_every_kept_file_is_compared():
    assert [path.stem for path in sorted(HERE.glob("*.txt"))] == KEPT
