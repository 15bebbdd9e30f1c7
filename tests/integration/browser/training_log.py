"""A training's log that the browser tests share."""

import json
import random

HOSTILE = "</script><script>document.title = 'taken'</script><b>bold</b> \u202ehidden\u200b"
SHOWN = HOSTILE.replace("\u202e", "\\u{202e}").replace("\u200b", "\\u{200b}")
RUBRICS = ("helpfulness", "honesty")
STEPS, PROMPTS, SIZE = 30, 3, 4


def write_log(path, *, steps=STEPS, prompts=PROMPTS, size=SIZE, rubrics=RUBRICS):
    """A training's log of two rubrics; the last response of the first group is hostile and flagged."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for step in range(steps):
            for row in range(prompts * size):
                scores = [draw.uniform(1, 5) for _ in rubrics]
                is_hostile = (step, row) == (0, size - 1)
                for rubric, score in zip(rubrics, scores, strict=True):
                    probs = {str(label): max(0.0, 1 - abs(label - score)) for label in range(1, 6)}
                    record = {
                        "step": step, "row": row, "judge": "scripted", "rubric": rubric, "outcome": "scored",
                        "instruction": f"Question {row // size} of step {step}?", "score": round(score),
                        "response": HOSTILE if is_hostile else f"The answer {row % size} of step {step} is long.",
                        "feedback": f"Feedback by {rubric}.", "expected_score": score, "score_probs": probs,
                        "entropy": draw.random(), "flags": ["judge_text"] if is_hostile else [],
                        "weight": 1.0, "reward": sum(scores) / 10,
                    }  # fmt: skip
                    file.write(json.dumps(record) + "\n")
    return path
