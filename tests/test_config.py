import json
import re
from importlib import resources
from pathlib import Path
from typing import get_type_hints

import pytest

from prom_reward.config import load_judge, load_policy, load_rubric, prompt_renderer
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.model.identity import folder_digest
from prom_reward.engines.model.source import resolve_path
from prom_reward.engines.server.source import ServerSource
from prom_reward.errors import ConfigError, ModelLoadError, RubricError
from prom_reward.judging.calibration import Calibration
from prom_reward.rubrics.rubric import Rubric
from prom_reward.settings.judges import JudgeConfig, JudgeOverrides
from prom_reward.settings.resolution import judge_config, judge_presets

PRESETS = (
    "smollm2-135m",
    "smollm2-135m-untuned",
    "prometheus-7b-v1.0",
    "prometheus-13b-v1.0",
    "prometheus-7b-v2.0",
    "prometheus-8x7b-v2.0",
    "prometheus-bgb-8x7b-v2.0",
    "m-prometheus-3b",
    "m-prometheus-7b",
    "m-prometheus-14b",
)
LEVELS = {f"score{label}_description": f"Level {label}." for label in range(1, 6)}
POLITE = {"criteria": "Is it polite?", **LEVELS}
WEIGHTED = {**POLITE, "weight": 2}


def refused(message):
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}")


@pytest.fixture
def write(tmp_path):
    """Writes a file and returns its path."""

    def make(name, text) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def test_the_keywords_of_load_judge_are_the_settings():
    keywords, settings = get_type_hints(JudgeOverrides), JudgeConfig.model_fields
    assert list(keywords) == list(settings)
    take_mappings = {"chat_template_kwargs", "sampling", "server"}
    assert {name for name in settings if keywords[name] != settings[name].annotation} == take_mappings


def test_a_judge_can_be_loaded_at_once():
    with pytest.raises(ModelLoadError, match="neither a local folder nor in the hub's cache"):
        load_judge({"model": "someone/judge"}, check=True)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_makes_a_judge_without_weights(name):
    assert tuple(judge_presets()) == PRESETS
    config = judge_config(name)
    assert config.name == name
    assert config.description
    judge = load_judge(name)
    assert judge.name == name
    assert judge.sampling == SamplingParams(max_new_tokens=config.sampling.max_new_tokens)
    folder = resolve_path(config.model)
    named = folder_digest(folder, gguf_file=config.gguf_file) or config.model
    assert judge.fingerprint.startswith(f"transformers:{named}|")


def test_presets_hold_the_model_cards_settings():
    shown = {name: judge_config(name) for name in PRESETS}
    v1, v2 = shown["prometheus-13b-v1.0"], shown["prometheus-8x7b-v2.0"]
    assert (v1.prompt_style, v1.conversation, v1.sampling.max_new_tokens) == ("prometheus-v1", "llama-2", 256)
    assert (v1.context_length, v1.tokenizer) == (4096, "meta-llama/Llama-2-7b-chat-hf")
    assert (v2.prompt_style, v2.conversation, v2.sampling.max_new_tokens) == ("prometheus-v2", "mistral", 1024)
    assert {(one.sampling.temperature, one.sampling.top_p) for one in shown.values()} == {(1.0, 0.9)}
    assert {one.sampling.repetition_penalty for one in shown.values()} == {1.03}
    assert [name for name, one in shown.items() if one.mode == "score"] == ["smollm2-135m", "smollm2-135m-untuned"]


def test_a_limit_on_pairs_is_the_cards_and_goes_with_other_weights(tmp_path):
    note = load_judge("smollm2-135m").pairs_note
    card = resources.files("prom_reward").joinpath("presets/smollm2-135m/README.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+ %", note)
    assert figures
    assert all(figure in card for figure in figures)
    (tmp_path / "adapter_model.safetensors").touch()
    assert load_judge("smollm2-135m", adapter=str(tmp_path)).pairs_note == ""
    assert load_judge("smollm2-135m", model=str(tmp_path)).pairs_note == ""
    assert not load_judge("smollm2-135m").taught_to_rank
    assert load_judge("prometheus-7b-v2.0").taught_to_rank


V1 = """[INST] <<SYS>>
You are a fair evaluator language model.
<</SYS>>

###Task Description:
An instruction (might include an Input inside it), a response to evaluate, a reference answer that gets a score of 5, \
and a score rubric representing a evaluation criteria are given.
1. Write a detailed feedback that assess the quality of the response strictly based on the given score rubric, \
not evaluating in general.
2. After writing a feedback, write a score that is an integer between 1 and 5. You should refer to the score rubric.
3. The output format should look as follows: "Feedback: (write a feedback for criteria) [RESULT] (an integer number \
between 1 and 5)"
4. Please do not generate any other opening, closing, and explanations.

###The instruction to evaluate:
Say hello.

###Response to evaluate:
Hello.

###Reference Answer (Score 5):
Hello!

###Score Rubrics:
[Is it polite?]
Score 1: Level 1.
Score 2: Level 2.
Score 3: Level 3.
Score 4: Level 4.
Score 5: Level 5.

###Feedback:  [/INST]"""
V2_SYSTEM = (
    "You are a fair judge assistant tasked with providing clear, objective feedback based on specific criteria, "
    "ensuring each assessment reflects the absolute standards set for performance."
)
V2 = V1.replace("[INST] <<SYS>>\nYou are a fair evaluator language model.\n<</SYS>>\n\n", f"[INST] {V2_SYSTEM}\n")
V2 = V2.replace('"Feedback: (write', '"(write')


@pytest.mark.parametrize(
    ("name", "text"), [(name, V1) for name in PRESETS[2:4]] + [(name, V2) for name in PRESETS[4:7]]
)
def test_llama_2_and_mistral_judges_render_without_weights_or_hub(name, text, request_of):
    request = request_of("Hello.", instruction="Say hello.", rubric=Rubric.parse(POLITE), reference_answer="Hello!")
    judge = load_judge(name)
    assert prompt_renderer(name)(judge.grading_prompt(request)) == text
    at_once = load_judge(name, mode="score").grading_prompt(request)
    assert prompt_renderer(name)(at_once) == f"{text} [RESULT] "


def test_a_judge_with_a_chat_template_renders_by_its_tokenizer(tiny_judge_folder, request_of):
    prompt = load_judge(tiny_judge_folder).grading_prompt(request_of("Paris."))
    assert prompt_renderer(tiny_judge_folder)(prompt) == (
        f"<|im_start|>system\n{V2_SYSTEM}<|im_end|>\n<|im_start|>user\n{prompt.user}<|im_end|>\n<|im_start|>assistant\n"
    )
    merged = prompt_renderer(tiny_judge_folder, conversation="tokenizer-merged")(prompt)
    assert f"<|im_start|>user\n{V2_SYSTEM}\n\n{prompt.user}<|im_end|>\n" in merged


def test_without_hub_and_local_weights_the_message_says_what_works():
    message = (
        "the weights of 'Unbabel/M-Prometheus-7B' are neither a local folder nor in the hub's cache, and the hub gave "
        "none; give a local folder with model=, log in to the hub if they are gated, or use the judge "
        "'smollm2-135m', which works offline"
    )
    with pytest.raises(ModelLoadError, match=f"^{re.escape(message)}$"):
        prompt_renderer("m-prometheus-7b")


def test_a_folder_is_a_judge_and_its_weights_grade(tiny_judge_folder, request_of):
    judge = load_judge(str(tiny_judge_folder), mode="score", dtype="float32")
    (judgment,) = judge.grade([request_of("Paris.")])
    assert judge.name == tiny_judge_folder.name
    assert sum(judgment.score_probs.values()) == pytest.approx(1)


def test_a_hub_id_and_a_mapping_are_judges_too():
    assert judge_config("owner/some-model").model_dump(include={"name", "model"}) == {
        "name": "some-model",
        "model": "owner/some-model",
    }
    assert judge_config({"model": "x", "mode": "score"}).name == "judge"


@pytest.mark.parametrize(
    ("judge", "hint"),
    [
        ("prometheus-7b-v2", " Did you mean 'prometheus-7b-v2.0'?"),
        ("smollm", " Did you mean 'smollm2-135m'?"),
        ("./no/such/folder", ""),
        ("/no-such-folder", ""),
        ("ftp://localhost:8000/v1", ""),
    ],
)
def test_an_unknown_judge_is_refused_with_its_near_miss(judge, hint):
    message = (
        f"unknown judge {judge!r}; expected one of {', '.join(PRESETS)}, a folder with a model, a hub id "
        f"(owner/name), a server's URL or a YAML file.{hint}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_judge(judge)


def test_a_yaml_judge_takes_what_it_does_not_say_from_its_preset(write):
    path = write("mine.yaml", "preset: prometheus-7b-v2.0\nmode: score\nsampling: {seed: 7}\n")
    config = judge_config(path)
    assert (config.name, config.model, config.mode) == ("mine", "prometheus-eval/prometheus-7b-v2.0", "score")
    assert (config.sampling.seed, config.sampling.max_new_tokens, config.conversation) == (7, 1024, "mistral")
    json_path = write("mine.json", json.dumps({"preset": "prometheus-7b-v1.0", "model": "here"}))
    assert (judge_config(json_path).model, judge_config(json_path).tokenizer) == ("here", None)
    assert judge_config({"model": "x", "preset": None}).model == "x"


def test_overrides_win_and_sampling_is_merged(write):
    path = write("mine.yaml", "model: here\nmode: score\nsampling: {seed: 7, top_p: 0.5}\n")
    config = judge_config(path, mode="feedback", sampling={"seed": 8}, name="other")
    assert (config.mode, config.name) == ("feedback", "other")
    assert (config.sampling.seed, config.sampling.top_p, config.sampling.temperature) == (8, 0.5, 1.0)
    kept = judge_config("prometheus-7b-v2.0", sampling={"seed": 1})
    assert (kept.sampling.seed, kept.sampling.max_new_tokens) == (1, 1024)
    assert judge_config({"mode": "score"}, preset="prometheus-7b-v1.0").conversation == "llama-2"


def test_another_model_does_not_take_the_presets_tokenizer_or_gguf_file():
    v1 = judge_config("prometheus-7b-v1.0", model="here")
    assert (v1.model, v1.tokenizer, v1.conversation) == ("here", None, "llama-2")
    assert judge_config("smollm2-135m", model="here").gguf_file is None
    assert judge_config("smollm2-135m", model="here", gguf_file="x.gguf").gguf_file == "x.gguf"
    assert judge_config("prometheus-7b-v1.0", tokenizer="there").model == "kaist-ai/prometheus-7b-v1.0"
    assert judge_config({"preset": "smollm2-135m", "model": "here"}).gguf_file is None


def test_what_lies_beside_a_judges_file_is_found_from_everywhere(tmp_path, monkeypatch):
    """A name that nothing beside the file has is kept: it may be a folder here, or a hub id."""
    for name in ("my-judge", "weights"):
        (tmp_path / name).mkdir()
    (tmp_path / "fit.json").write_text("{}")
    file = tmp_path / "judge.yaml"
    file.write_text("model: weights\nadapter: my-judge\ntokenizer: owner/name\ncalibration: fit.json\n")
    monkeypatch.chdir("/")
    found = judge_config(file)
    assert (found.model, found.adapter) == (str(tmp_path / "weights"), str(tmp_path / "my-judge"))
    assert (found.tokenizer, found.calibration) == ("owner/name", str(tmp_path / "fit.json"))


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("model: here\nmode: [score\n", ", line 3", "not valid YAML (expected ',' or ']', but got '<stream end>')"),
        ("model: a\n mode: b\n", ", line 2", "not valid YAML (mapping values are not allowed here)"),
        (b"model: \xff\n", "", "not valid YAML ('utf-8' codec can't decode byte 0xff in position 7: invalid start"),
        ("model: a\x00\n", "", "not valid YAML (unacceptable character #x0000: special characters are not allowed)"),
        ("model: 2024-13-45\n", "", "not valid YAML (month must be in 1..12)"),
        ("- model\n", "", "got list; expected a mapping of settings"),
        ("", "", "got NoneType; expected a mapping of settings"),
    ],
)
def test_a_file_that_is_no_mapping_names_file_and_line(write, text, where, problem):
    path = write("mine.yaml", text)
    with refused(f"{path}{where}: {problem}"):
        load_judge(path)


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "no.yaml"
    with refused(f"{path}: cannot read the file (No such file or directory)"):
        load_judge(path)
    with refused(f"{path}: cannot read the file (No such file or directory)"):
        load_rubric(str(path))


def test_a_policy_is_a_folder_with_its_tokenizer(tiny_judge_folder):
    model, tokenizer = load_policy(str(tiny_judge_folder))
    assert (model.config.hidden_size, model.dtype.itemsize, all(p.requires_grad for p in model.parameters())) == (
        16,
        4,
        True,
    )
    assert tokenizer.chat_template


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("r.yaml", json.dumps({"manners": {**POLITE, "weight": 1}, "brevity": WEIGHTED}), ["manners", "brevity"]),
        ("r.yaml", json.dumps([WEIGHTED, {"rubric": "reasoning", "weight": 2}]), ["is_it_polite", "reasoning"]),
        ("r.yaml", json.dumps([POLITE, "honesty", {"rubric": "reasoning"}]), ["is_it_polite", "honesty", "reasoning"]),
        ("r.yaml", json.dumps(POLITE), ["is_it_polite"]),
        ("r.yml", json.dumps({**POLITE, "name": "manners"}), ["manners"]),
        ("r.json", json.dumps({"manners": POLITE}, indent=2), ["manners"]),
        ("r.yaml", "helpfulness", ["helpfulness"]),
    ],
)
def test_rubric_files_hold_one_rubric_several_or_named_ones(write, name, text, names):
    rubrics = load_rubric(write(name, text))
    assert [rubric.name for rubric in rubrics] == names
    assert [rubric.weight for rubric in rubrics][1:] in ([], [2.0], [1.0, 1.0])
    assert load_rubric(str(write(name, text))) == rubrics


def test_a_rubric_file_in_which_one_has_no_weight_is_refused(write):
    path = write("r.yaml", json.dumps({"manners": POLITE, "brevity": WEIGHTED}))
    message = f"{path}: got rubrics with a weight, and 'manners' without one; give all of them a weight, or none"
    with pytest.raises(RubricError, match=f"^{re.escape(message)}$"):
        load_rubric(path)


@pytest.mark.parametrize("value", ["honesty", POLITE, Rubric.parse("honesty"), ["honesty"], Rubric.parse(POLITE).text])
def test_load_rubric_takes_every_form_of_a_rubric(value):
    assert load_rubric(value) == ((Rubric.parse(value),) if not isinstance(value, list) else Rubric.parse(value))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("criteria: x\nscor1_description: y\n", "unknown key 'scor1_description' in a rubric; expected 'criteria', "),
        ("helpfullness", "unknown rubric 'helpfullness'; expected one of factual_validity, "),
        ("", "got None as a rubric; expected a built-in name"),
        (
            "criteria: x\nscale: [1, 5]\nscore1_description: y\n",
            "rubric 'x' on the scale 1 to 5 has no description for ",
        ),
    ],
)
def test_a_wrong_rubric_in_a_file_names_the_file(write, text, problem):
    path = write("r.yaml", text)
    with pytest.raises(RubricError, match=f"^{re.escape(f'{path}: {problem}')}"):
        load_rubric(path)


def test_a_url_is_a_judge_behind_a_server():
    judge = load_judge("http://127.0.0.1:8000", mode="score", server={"model": "judge"})
    assert judge.name == "127.0.0.1:8000"
    assert judge.engine.source == ServerSource(url="http://127.0.0.1:8000/v1", model="judge")
    assert judge.engine.identity == "openai:http://127.0.0.1:8000/v1|judge|auto||ChatTemplateConversation|"


@pytest.mark.parametrize("api", ["decisions", "systemone"])
def test_a_decision_endpoint_is_a_judge_with_prompts_of_its_own(api):
    judge = load_judge("http://127.0.0.1:8000", api=api, server={"model": "judge", "api": "auto"}, guard=False)
    assert (judge.mode, judge.prompt_style, judge.guard) == ("score", "decision", False)
    assert judge.engine.identity == f"{api}:http://127.0.0.1:8000/v1|judge"
    same = load_judge({"url": "http://127.0.0.1:8000", "server": {"api": api, "model": "judge"}}, mode="score")
    assert same.engine.source == judge.engine.source
    longer = load_judge(
        "http://127.0.0.1:8000", api=api, sampling={"seed": 1}, server={"extra_body": {"priority": 1}}
    )  # sampling has no effect, as in score mode elsewhere
    assert longer.engine.identity == f"{api}:http://127.0.0.1:8000/v1||{{'priority': 1}}"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mode": "feedback"}, "got mode='feedback' and api='systemone', which writes no text; expected mode: score"),
        ({"layout": "response_last"}, "got layout and api='systemone'; it writes its model's prompt: leave layout out"),
        ({"tokenizer": "a/b"}, "name its model in `server`: leave tokenizer out"),
        ({"preset": "prometheus-7b-v2.0"}, "got a preset and a decision endpoint"),
        ({"server": ServerSource(url="http://a", api="chat")}, "got api='systemone' beside server.api='chat'"),
        ({"url": None}, "got server settings and no url; expected both, or neither"),
    ],
)
def test_settings_that_a_decision_endpoint_has_no_use_for_are_refused(settings, problem):
    with pytest.raises(ConfigError, match=re.escape(problem)):
        judge_config({"url": "http://a", "api": "systemone", **settings})
    with pytest.raises(ConfigError, match="got a preset"):
        judge_config("prometheus-7b-v2.0", url="http://a", api="systemone")
    with pytest.raises(ConfigError, match="prompt_style='decision' without a decision endpoint"):
        judge_config("smollm2-135m", prompt_style="decision")


@pytest.mark.parametrize("api", ["auto", "chat"])
def test_a_server_that_writes_text_does_not_get_questions_without_their_levels(api):
    with pytest.raises(ConfigError, match="prompt_style='decision' without a decision endpoint"):
        judge_config("http://a", api=api, prompt_style="decision")


def test_a_preset_can_be_served_and_keeps_its_prompts():
    judge = load_judge("prometheus-7b-v1.0", url="http://127.0.0.1:8000/v1")
    assert judge.prompt_style == "prometheus-v1"
    tokenizer = "meta-llama/Llama-2-7b-chat-hf"
    assert judge.engine.identity == f"openai:http://127.0.0.1:8000/v1||auto|{tokenizer}|_llama_2|4096"


def test_a_servers_settings_stand_in_yaml_and_overrides_win_one_by_one(write):
    path = write(
        "judge.yaml",
        "preset: prometheus-7b-v2.0\nurl: http://127.0.0.1:8000\nserver: {model: judge, max_in_flight: 8}\n",
    )
    source = load_judge(path, server={"max_in_flight": 9}).engine.source
    assert (source.model, source.max_in_flight, source.api_key_env) == ("judge", 9, "PROM_REWARD_API_KEY")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "score"}, "judge: missing key 'model'; it has no default"),
        (
            {"model": "m", "engine": "openai"},
            "judge: got engine='openai' and no url; expected both of engine: openai and url",
        ),
        (
            {"model": "m", "engine": "transformers", "url": "http://a"},
            "judge: got engine='transformers' and a url; expected both of engine: openai and url",
        ),
        (
            {"url": "http://a", "server": {"modell": "b"}},
            "judge: unknown key 'modell' in 'server'; expected one of model, api, api_key_env, api_key_file, "
            "max_in_flight, requests_per_minute, tokens_per_minute, request_timeout_s, max_retries, batch_deadline_s, "
            "outage_after, first_answer_s, outage_deadline_s, extra_body. Did you mean 'model'?",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with refused(message):
        judge_config(settings)


def test_the_prompts_of_a_server_without_a_tokenizer_cannot_be_shown():
    with refused("127.0.0.1:8000: its chat template is the server's; give tokenizer= to see its prompts"):
        prompt_renderer("http://127.0.0.1:8000")


@pytest.mark.parametrize(("guard", "warns"), [(1, False), (2, False), (3, False), (0, True), (None, True)])
def test_an_adapter_of_an_earlier_guard_that_is_alike_warns_of_nothing(tmp_path, caplog, guard, warns):
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "prom_reward.json").write_text(json.dumps({"guard": guard}))
    load_judge("smollm2-135m-untuned", adapter=str(tmp_path))
    assert ("the adapter was trained with guard" in caplog.text) == warns


@pytest.mark.parametrize("layouts", [None, 5, [], {}, [["a"]], "prometheus"])
def test_a_stamp_of_another_form_stops_nothing(tmp_path, caplog, layouts):
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "prom_reward.json").write_text(json.dumps({"layouts": layouts, "guard": [2], "conversation": {}}))
    load_judge("smollm2-135m-untuned", adapter=str(tmp_path))
    assert "the adapter was trained with guard [2], not" in caplog.text
    assert ("layout" in caplog.text) == (layouts == {})


def test_a_url_that_cannot_be_read_is_one_line():
    with pytest.raises(ConfigError, match=r"^server: the url cannot be read \(.*\); expected one such as http"):
        load_judge("http://[::1")


def test_a_judge_takes_what_becomes_of_flags(caplog):
    judge = load_judge("smollm2-135m-untuned", on_flag="lowest", detectors=["empty"])
    assert (judge.flags.on_flag, judge.flags.detectors) == ("lowest", ("empty",))
    with pytest.raises(ConfigError, match=r"key 'on_flag': got 'zero'"):
        load_judge("smollm2-135m-untuned", on_flag="zero")


@pytest.mark.parametrize(
    ("fitted_on", "told"),
    [
        ("", None),
        ("own", None),
        ("transformers:another", "of another judge, or of other weights than 127.0.0.1:1's"),
        ("own|temperature=2.0", "with other prompts or another tuning than 127.0.0.1:1's"),
    ],
)
def test_a_calibration_of_other_scores_warns(tmp_path, caplog, fitted_on, told):
    path, url = tmp_path / "calibration.json", "http://127.0.0.1:1/v1"
    judge = fitted_on.replace("own", load_judge(url, mode="score").scores_identity)
    Calibration(low_slope=1.0, high_slope=1.0, shift=0.0, judge=judge).save(path)
    assert load_judge(url, mode="score", calibration=str(path)).calibration.judge == judge
    assert (told in caplog.text) if told else ("fitted on" not in caplog.text)


def adapter_folder(path, *, base=None, **stamp):
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    if stamp:
        (path / "prom_reward.json").write_text(json.dumps(stamp))
    return path


def test_a_folder_of_train_judge_is_a_judge(tmp_path):
    judge = {"model": "owner/base", "gguf_file": "a.gguf", "layout": "response_last", "mode": "score"}
    folder = adapter_folder(
        tmp_path / "mine", base="/elsewhere", judge={**judge, "trust_remote_code": True, "url": "x"}
    )
    config = judge_config(folder)
    assert (config.name, config.adapter) == ("mine", str(folder))
    assert (config.model, config.gguf_file, config.layout, config.mode) == tuple(judge.values())
    assert not config.trust_remote_code
    assert config.url is None
    moved = judge_config(str(folder), model="/weights/base", mode="feedback")
    assert (moved.model, moved.gguf_file, moved.adapter, moved.mode) == ("/weights/base", None, str(folder), "feedback")


def test_an_adapter_of_others_takes_the_base_that_peft_names(tmp_path):
    config = judge_config(adapter_folder(tmp_path / "theirs", base="owner/base"))
    assert (config.model, config.adapter, config.mode) == ("owner/base", str(tmp_path / "theirs"), "feedback")
    with pytest.raises(ConfigError, match="got an adapter that names no base model; give its judge and adapter="):
        judge_config(adapter_folder(tmp_path / "nameless"))


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ("nothere", "nothere: no such folder; expected a folder with a LoRA adapter, or a hub id"),
        ("~/nothere", "~/nothere: no such folder"),
        (".", "no adapter_model"),
    ],
)
def test_an_adapter_that_is_none_is_refused_before_anything_is_loaded(tmp_path, monkeypatch, adapter, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load_judge("smollm2-135m", adapter=adapter)


@pytest.mark.parametrize(
    ("judge", "overrides", "message"),
    [
        (None, {}, "got a judge of type NoneType"),
        ("x" * 5000, {}, "unknown judge"),
    ],
)
def test_a_judge_of_another_kind_is_one_line(judge, overrides, message):
    with pytest.raises(ConfigError, match=message):
        judge_config(judge, **overrides)


def test_a_url_is_never_a_file():
    assert judge_config("http://127.0.0.1:9/v1/judge.json").url == "http://127.0.0.1:9/v1/judge.json"
