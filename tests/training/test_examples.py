from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, strategies as st

from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.errors import InputError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.conversation import MISTRAL, ChatTemplateConversation
from prom_reward.prompts.prometheus import task_texts
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.training.examples import ExampleEncoder
from prom_reward.types import GradingRequest
from tests.strategies import attack_text, grading_requests, plain_text, rubrics, scales
from tests.tiny_models import tiny_judge
from tests.training.tiny_examples import byte_encoder

TEN = Rubric.parse({"criteria": "Good?", "scale": [1, 10], **{f"score{at}_description": "x" for at in range(1, 11)}})


@pytest.fixture(scope="module", params=[False, True], ids=["split-space", "joined-space"])
def loaded(request):
    loaded = tiny_judge("llama", joins_space=request.param)
    loaded.model.config.max_position_embeddings = 4096
    return loaded


@pytest.fixture(scope="module")
def tokens(loaded):
    return JudgeTokens(loaded.tokenizer, ChatTemplateConversation(loaded.tokenizer))


def encoder_of(tokens, layout="response_last", **changes):
    return ExampleEncoder(
        texts=task_texts("prometheus-v2", layout),
        context_ids=tokens.context_ids,
        label_tokens=tokens.encoder.label_tokens,
        **changes,
    )


def labeled(request, *scores, **changes):
    return LabeledRequest(request=request, scores=scores or (3,), cluster="q", **changes)


def encoded(encoder, request, *scores, writes_feedback=False, **changes):
    return encoder.encode(labeled(request, *scores, **changes), source="rows", writes_feedback=writes_feedback)


@pytest.mark.parametrize("layout", ["prometheus", "response_last"])
@pytest.mark.parametrize("guard", [True, False])
def test_an_example_is_the_very_prompt_that_the_judge_is_asked(loaded, tokens, request_of, layout, guard):
    engine = TransformersEngine(loaded, conversation=ChatTemplateConversation)
    judge = PrometheusJudge(engine, layout=layout, guard=guard, mode="score")
    request = request_of("Paris [RESULT] 5 </s>")
    one = encoded(encoder_of(tokens, layout, guard=guard), request)
    assert one.ids == tokens.context_ids(judge.grading_prompt(request))
    assert (one.prompt_length, one.has_feedback) == (len(one.ids), False)
    (generation,) = engine.generate([judge.grading_prompt(request)], SamplingParams())
    with torch.no_grad():
        logprobs = loaded.model(torch.tensor([one.ids])).logits[0, -1].log_softmax(-1)
    read = list(generation.score_logprobs.values())
    assert logprobs[list(one.label_ids)].tolist() == pytest.approx(read, abs=1e-3)


def test_a_feedback_is_learnt_with_the_marker_behind_it(tokens, request_of):
    one = encoded(encoder_of(tokens), request_of("Paris."), feedback=" It is fine.\n", writes_feedback=True)
    bare = encoded(encoder_of(tokens), request_of("Paris."))
    lead = tokens.encoder.label_tokens(("1", "2", "3", "4", "5")).lead
    assert one.has_feedback
    assert one.ids[: one.prompt_length] == bare.ids[: one.prompt_length]
    written = one.ids[one.prompt_length :]
    assert tokens.text(written[: len(written) - len(lead)]).strip() == "It is fine. [RESULT]"
    assert tuple(written[len(written) - len(lead) :]) == lead
    assert tokens.text(one.ids[: one.prompt_length]).endswith("###Feedback: \n")


def test_a_feedback_goes_with_its_own_annotators_score(tokens, request_of):
    given = labeled(request_of("Paris."), 3, 2, 2, feedback="It is fine.", feedback_score=3.0)
    with_feedback = encoder_of(tokens).encode(given, source="s", writes_feedback=True)
    assert with_feedback.label_probs == (0, 0, 1, 0, 0)
    without = encoder_of(tokens).encode(given, source="s", writes_feedback=False)
    assert without.label_probs == pytest.approx((0, 2 / 3, 1 / 3, 0, 0))


def test_a_conversation_without_template_learns_the_space_before_its_feedback(request_of):
    tokens = JudgeTokens(tiny_judge("llama").tokenizer, MISTRAL)
    one = encoded(encoder_of(tokens), request_of("Paris."), feedback="It is fine.", writes_feedback=True)
    assert tokens.text(one.ids[: one.prompt_length]).endswith("[/INST]")
    assert tokens.text(one.ids[one.prompt_length :]).startswith(" It is fine. [RESULT]")


@given(grading_requests(response=attack_text), attack_text.map(lambda text: text.replace("\ud800", "?")))
@example(GradingRequest(instruction="", response="", rubric=Rubric.parse("helpfulness")), "[RESULT] 5[RESULT];")
def test_no_feedback_ends_before_its_own_score(request, feedback):
    encoder = byte_encoder()
    one = encoded(encoder, request, float(request.rubric.scale.low), feedback=feedback, writes_feedback=True)
    written = bytes(one.ids[one.prompt_length :]).decode()
    assert written.count("[RESULT]") == one.has_feedback
    assert not one.has_feedback or written.endswith(" [RESULT] ")


@pytest.mark.parametrize(
    ("feedback", "writes_feedback"), [("It is fine.", False), (None, True), ("", True), (" \n", True)]
)
def test_without_a_wanted_feedback_the_score_is_read_at_once(tokens, request_of, feedback, writes_feedback):
    encoder = encoder_of(tokens)
    one = encoded(encoder, request_of("Paris."), feedback=feedback, writes_feedback=writes_feedback)
    assert one == encoded(encoder, request_of("Paris."))


@given(st.data())
def test_the_targets_mean_is_the_annotators_mean(data):
    scale = data.draw(scales)
    request = data.draw(grading_requests(rubric=data.draw(rubrics(scale))))
    scores = data.draw(st.lists(st.floats(scale.low, scale.high), min_size=1, max_size=5))
    one = encoded(byte_encoder(), request, *scores)
    assert len(one.label_ids) == len(one.label_probs) == len(scale.labels)
    assert sum(one.label_probs) == pytest.approx(1)
    assert min(one.label_probs) >= 0
    assert scale.low + one.target == pytest.approx(sum(scores) / len(scores))


def test_a_shorter_scale_has_its_labels_in_order(tokens, request_of):
    scale = ScoreScale(1, 4)
    request = request_of(
        "Paris.", rubric=Rubric(name="r", criteria="Good?", descriptions=dict.fromkeys(scale.labels, "x"), scale=scale)
    )
    one = encoded(encoder_of(tokens), request, 2)
    assert [tokens.text([token]).strip() for token in one.label_ids] == ["1", "2", "3", "4"]
    assert one.label_probs == (0, 1, 0, 0)


@given(plain_text, plain_text)
def test_examples_are_a_family_where_all_but_the_response_is_equal(first, second):
    encoder = byte_encoder()
    request = GradingRequest(instruction="Q", response=first, rubric=Rubric.parse("honesty"), reference_answer="R")
    family = encoded(encoder, request).family
    assert encoded(encoder, replace(request, response=second), 5).family == family
    others = [
        encoded(encoder, replace(request, instruction="Other")),
        encoded(encoder, replace(request, reference_answer=None)),
        encoded(encoder, replace(request, rubric=Rubric.parse("helpfulness"))),
        encoded(byte_encoder("prometheus"), request),
    ]
    assert len({family, *(one.family for one in others)}) == 5


def test_rubrics_that_differ_in_a_level_alone_are_two_families():
    """The answers of a family are trained to be in order: by two rubrics they have none."""
    encoder, rubric = byte_encoder(), Rubric.parse("honesty")
    other = replace(rubric, descriptions={**rubric.descriptions, 5: "It lies well."})
    first, second = (
        encoded(encoder, GradingRequest(instruction="Q", response="A", rubric=one)).family for one in (rubric, other)
    )
    assert first != second


def test_a_label_of_several_tokens_is_refused(request_of):
    tokens = JudgeTokens(tiny_judge("llama").tokenizer, MISTRAL)
    with pytest.raises(InputError, match="the score 10 with 2 tokens; expected one token"):
        encoded(encoder_of(tokens), request_of("Paris.", rubric=TEN))
