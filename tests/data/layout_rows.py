"""A row of each public layout in our own words; `python -m tests.data.layout_rows` prints the README's table."""

import json

from prom_reward.data.formats import KINDS, RowFormat

Q, A, B, S = "Why does bread rise?", "The yeast makes gas.", "The oven does it.", "Answer in one sentence."
ASK = [{"role": "user", "content": Q}]
YES, NO = ([{"role": "assistant", "content": text}] for text in (A, B))
LEVELS = {f"score{n}_description": f"Level {n}." for n in range(1, 6)}
HH = "\n\nHuman: Why does bread rise?\n\nAssistant: "

LAYOUTS = {
    "Alpaca, LLaMA-Factory": {"instruction": "Answer.", "input": Q, "output": A, "system": S, "history": []},
    "Dolly": {"instruction": Q, "context": "Dough holds gas.", "response": A, "category": "closed_qa"},
    "Ragas": {"user_input": Q, "retrieved_contexts": ["Dough holds gas."], "response": A, "reference": A},
    "LLaMA-Factory (DPO)": {
        "conversations": [{"from": "human", "value": Q}],
        "chosen": {"from": "gpt", "value": A},
        "rejected": {"from": "gpt", "value": B},
    },
    "ShareGPT": {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
    "OpenAI messages, Tulu (SFT)": {"id": "1", "messages": ASK + YES, "source": "x"},
    "OpenAI preferences": {
        "input": {"messages": ASK},
        "preferred_output": YES,
        "non_preferred_output": NO,
    },
    "OpenAI Responses": {
        "instructions": S,
        "input": Q,
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]}],
    },
    "Capybara": {"conversation": [{"input": Q, "output": A}], "source": "x"},
    "Anthropic": {"system": [{"type": "text", "text": S}], "messages": ASK + YES},
    "Gemini": {
        "systemInstruction": {"parts": [{"text": S}]},
        "contents": [{"role": "user", "parts": [{"text": Q}]}, {"role": "model", "parts": [{"text": A}]}],
    },
    "HH-RLHF": {"chosen": HH + A, "rejected": HH + B},
    "UltraFeedback": {"instruction": Q, "completions": [{"model": "a", "response": A}, {"model": "b", "response": B}]},
    "UltraFeedback binarized, Tulu (DPO)": {
        "prompt": Q,
        "chosen": ASK + YES,
        "rejected": ASK + NO,
        "messages": ASK + YES,
    },
    "distilabel": {"instruction": Q, "generations": [A, B], "ratings": [5, 1]},
    "Orca pairs": {"system": S, "input": Q, "chosen": A, "rejected": B},
    "ms-swift": {"query": Q, "response": A, "history": [["Hi", "Hello."]], "system": S},
    "ms-swift (DPO)": {"messages": ASK + YES, "rejected_response": B},
    "ms-swift (rejected_messages)": {"messages": ASK + YES, "rejected_messages": ASK + NO},
    "RewardBench": {"prompt": Q, "chosen": A, "rejected": B, "chosen_model": "x", "subset": "s"},
    "RewardBench 2 (one rejected)": {"prompt": Q, "chosen": [A], "rejected": [B]},
    "HelpSteer2": {"prompt": Q, "response": A, "helpfulness": 4},
    "HelpSteer2 (preferences)": {"prompt": Q, "response_1": B, "response_2": A, "preference_strength": 2},
    "HelpSteer3": {"context": ASK, "response1": B, "response2": A, "overall_preference": 2},
    "PKU-SafeRLHF (one dimension)": {"prompt": Q, "response_0": B, "response_1": A, "better_response_id": 1},
    "SHP": {"history": Q, "human_ref_A": A, "human_ref_B": B, "labels": 1},
    "WebGPT": {
        "question": {"dataset": "eli5", "id": "1", "full_text": Q},
        "answer_0": B,
        "answer_1": A,
        "score_0": -0.5,
        "score_1": 0.5,
    },
    "OpenAI's summaries": {
        "info": {"id": "1", "subreddit": "Baking", "title": "Bread", "post": Q, "article": None},
        "summaries": [{"text": B, "policy": "x", "note": None}, {"text": A, "policy": "y", "note": None}],
        "choice": 1,
    },
    "Nectar": {"prompt": HH, "answers": [{"answer": A, "rank": 1}, {"answer": B, "rank": 2}]},
    "LLMBar": {"input": Q, "output_1": A, "output_2": B, "label": 1},
    "AlpacaEval": {"instruction": Q, "output_1": B, "output_2": A, "preference": 1.9},
    "Stack Exchange (paired)": {"question": Q, "response_j": A, "response_k": B},
    "turbo-alignment": {"context": ASK, "answer_w": YES[0], "answer_l": NO[0]},
    "judged pairs": {"question": Q, "response_A": A, "response_B": B, "label": "A>B"},
    "KTO": {"prompt": ASK, "completion": YES, "label": True},
    "Chatbot Arena": {"conversation_a": ASK + YES, "conversation_b": ASK + NO, "winner": "model_a"},
    "Chatbot Arena (55k, Kaggle)": {
        "prompt": json.dumps([Q]),
        "response_a": json.dumps([A]),
        "response_b": json.dumps([B]),
        "winner_model_a": 1,
        "winner_model_b": 0,
        "winner_tie": 0,
    },
    "Search Arena": {"messages_a": ASK + YES, "messages_b": ASK + NO, "winner": "model_a"},
    "Feedback-Collection": {
        "instruction": "whole prompt",
        "orig_instruction": Q,
        "orig_response": A,
        "orig_reference_answer": "Yeast.",
        "orig_criteria": "Is it right?",
        **{f"orig_{name}": text for name, text in LEVELS.items()},
    },
    "Preference-Collection": {
        "orig_instruction": Q,
        "orig_response_A": B,
        "orig_response_B": A,
        "orig_preference": "B",
        "orig_criteria": "Is it right?",
        **{f"orig_{name}": text for name, text in LEVELS.items()},
    },
    "BiGGen": {"system_prompt": S, "input": Q, "response": A, "score_rubric": {"criteria": "Is it right?", **LEVELS}},
    "verl rollouts": {"prompt": ASK, "response": A, "data_source": "x", "reward_model": {"ground_truth": "Yeast."}},
    "verl rollouts, dumped": {"input": Q, "output": A, "gts": "Yeast.", "score": 1.0, "step": 3},
}


def table() -> str:
    """Return the table of the data room's README."""
    lines = ["| layout | its columns | kind | what was read |", "|---|---|---|---|"]
    for name, row in LAYOUTS.items():
        found = RowFormat(columns={}).describe(row)
        columns = ", ".join(f"`{one}`" for one in _without_levels(row))
        read = [
            f"{role} from {', '.join(f'`{one}`' for one in _without_levels(names))}" for role, names in found.items()
        ]
        kind = KINDS[RowFormat(columns={}).kind(row)]
        lines.append(f"| {name} | {columns} | {kind} | {'; '.join(read)} |")
    return "\n".join(lines)


def _without_levels(names):
    return [name for name in names if "_description" not in name]


if __name__ == "__main__":
    print(table())  # noqa: T201
