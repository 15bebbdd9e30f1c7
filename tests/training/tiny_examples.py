"""Examples of a few tokens, labeled rows of a few words, and encoders that need no tokenizer."""

import json

import torch
from hypothesis import strategies as st

from prom_reward.engines.tokens.encoding import LabelTokens
from prom_reward.prompts.prometheus import task_texts
from prom_reward.training.examples import ExampleEncoder, TrainingExample

VOCABULARY = 300
RUBRIC = "helpfulness"

words = st.lists(st.integers(0, 2), min_size=1, max_size=12)
"""Token ids whose shared beginnings are mostly too short to share."""
block_words = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(
    lambda letters: [16 * letter + place for letter in letters for place in range(3, 19)]
)
"""Token ids in runs of sixteen, so that every shared beginning is long enough to share."""


def example(ids, *, probs=(0.2, 0.3, 0.5), num_written=0, source="rows", family=0):
    """An example whose last `num_written` tokens are the judge's own."""
    return TrainingExample(
        ids=list(ids),
        prompt_length=len(ids) - num_written,
        label_ids=tuple(range(3, 3 + len(probs))),
        label_probs=tuple(probs),
        source=source,
        family=family,
    )


def examples_of(id_lists, **changes):
    return [example(ids, **changes) for ids in id_lists]


def shared_examples(seed=0):
    """Examples that share beginnings in two depths: some with feedback, a twin, a beginning of others, a stranger."""
    draw = torch.Generator().manual_seed(seed)

    def ids(length):
        return torch.randint(3, VOCABULARY, (length,), generator=draw).tolist()

    trunk = ids(40)
    branch = [*trunk, *ids(20)]
    twin = [*branch, *ids(5)]
    return [
        example(twin, probs=(1.0, 0.0, 0.0)),
        example([*branch, *ids(30)], num_written=12),
        example([*trunk, *ids(7)], num_written=7, source="other"),
        example(twin, probs=(0.0, 0.5, 0.5)),
        example(trunk, source="other"),
        example(ids(20), num_written=3, probs=(0.5, 0.5)),
    ]


def byte_encoder(layout="response_last", **changes):
    """An encoder whose tokens are the bytes of the prompt."""
    return ExampleEncoder(
        **{
            "texts": task_texts("prometheus-v2", layout),
            "context_ids": lambda prompt: list(f"{prompt.user}{prompt.response_prefix}".encode()),
            "label_tokens": lambda labels: LabelTokens((), {label: (number,) for number, label in enumerate(labels)}),
            **changes,
        }
    )


def text_of(one):
    """The text of a byte encoder's example."""
    return bytes(one.ids).decode()


def rows_of(num_questions, *, scores=(1, 3, 5)):
    """Rows in which a longer response is a better one."""
    return [
        {"instruction": f"Question {number}?", "response": "yes " * score, "score": score, "feedback": "It is fine."}
        for number in range(num_questions)
        for score in scores
    ]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
