import pytest

openai = pytest.importorskip("openai", minversion="3.57", reason="has no Decisions")


def decide(decider, text, *questions):
    """Ask through OpenAI's own client, whose requests go to the application."""
    import httpx2

    def send(request):
        answer = decider.post(request.url.path, content=request.content)
        return httpx2.Response(answer.status_code, content=answer.content, headers={"content-type": "application/json"})

    http = httpx2.Client(transport=httpx2.MockTransport(send))
    asking = openai.OpenAI(api_key="none", base_url="http://test/v1", max_retries=0, http_client=http)
    return asking.decisions.create(input=text, model="gpt-6-luna", questions=questions)


PREDICATE = {"type": "predicate", "name": "spam", "instructions": "It is spam."}
CHOICE = {
    "type": "choice",
    "instructions": [{"type": "input_text", "text": "Is it kind?"}],
    "choices": [{"value": True}, {"value": "True", "description": "the word"}],
}
SCORE = {"type": "score", "name": "u", "instructions": "How urgent?", "levels": [{"label": "low"}, {"label": "high"}]}


def test_openais_client_reads_the_decisions(decider):
    messages = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"role": "assistant", "content": "Yo"},
    ]
    found = decide(decider, messages, PREDICATE, CHOICE, SCORE)
    predicate, choice, score = found.answers
    assert (predicate.type, predicate.name, predicate.probability) == ("predicate", "spam", pytest.approx(0.8))
    assert choice.choice == "True"
    assert [one.value for one in choice.probabilities] == [True, "True"]
    assert (score.score, score.probabilities[1].label, score.probabilities[1].value) == (pytest.approx(0.8), "high", 1)
    assert decider.service.history.latest[-1][0].response == "User: Hi\n\nAssistant: Yo"


def test_an_unanswered_question_is_a_refusal_to_openais_client(decider):
    found = decide(decider, "fail", PREDICATE, SCORE)
    assert [(one.type, one.name) for one in found.answers] == [("refusal", "spam"), ("refusal", "u")]


IMAGE = {"type": "input_image", "image_url": "data:"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([{"role": "user", "content": [{"type": "input_text", "text": "Hi"}, IMAGE]}], "got media .image."),
        ([{"role": "user", "content": ""}], "messages with words"),
        ([], "messages with words"),
    ],
)
def test_an_input_that_the_judge_cannot_see_is_refused(decider, given, problem):
    with pytest.raises(openai.BadRequestError, match=problem):
        decide(decider, given, PREDICATE)


@pytest.mark.parametrize(
    "question",
    [
        {"type": "essay", "instructions": "?"},
        {"type": "predicate"},
        {"type": "predicate", "instructions": [{"type": "input_image", "image_url": "x"}]},
        {"type": "choice", "instructions": "?", "choices": [{"value": "one"}]},
        {"type": "choice", "instructions": "?", "choices": [{"value": 1}, {"value": 2}]},
        {"type": "score", "instructions": "?"},
    ],
)
def test_a_question_of_another_shape_is_refused(decider, question):
    with pytest.raises(openai.BadRequestError):
        decide(decider, "Hi", question)
    with pytest.raises(openai.BadRequestError, match="0 questions"):
        decide(decider, "Hi")
