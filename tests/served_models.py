"""What a test's server answers with: scripted texts, or a real tiny model as vLLM would serve it."""

import re
import zlib
from collections.abc import Callable
from math import log

import torch

from prom_reward.engines.model.loading import LoadedModel

Script = Callable[[str], str]
"""A judge's whole text for the text of a prompt."""


def level(prompt: str) -> int:
    """Return the score that `graded` gives to a prompt: 1 to 5, by its text."""
    return zlib.crc32(prompt.encode()) % 5 + 1


def graded(prompt: str) -> str:
    """Write a feedback with a score that depends on the prompt alone; behind a marker the score alone."""
    score = level(prompt.removesuffix("[RESULT]").rstrip())
    return f" {score}" if prompt.endswith("[RESULT]") else f" Fair. [RESULT] {score}"


def text_server(script: Script = graded, *, num_logprobs: int = 5, has_chat: bool = False, prefill: bool = False):
    """A server of scripted texts whose prompts are texts: no token ids, no fields that OpenAI's has not.

    Its tokens are words with the space before them; a label has probability 0.8 and the others share the rest.
    """
    known = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "logprobs"}
    known_chat = (
        known - {"prompt"}
        | {"messages", "top_logprobs"}
        | ({"continue_final_message", "add_generation_prompt"} if prefill else set())
    )

    def answer(path: str, body: dict):
        is_chat = path.endswith("/chat/completions")
        if body["model"] != "judge" or is_chat != has_chat:
            return 404
        if set(body) - (known_chat if is_chat else known) or isinstance(body.get("prompt"), list):
            return 400
        prompt = "\n".join(message["content"] for message in body["messages"]) if is_chat else body["prompt"]
        is_continued = body.get("continue_final_message", False)
        text = script(prompt)
        tokens = re.findall(r"\s*\S+", text)[: body["max_tokens"]]
        wants = bool(body.get("logprobs")) and num_logprobs > 0
        rows = [_row(token, num_logprobs) for token in tokens]
        choice = {"index": 0, "finish_reason": "stop" if "".join(tokens) == text else "length"}
        if is_chat:
            content = [
                {
                    "token": token,
                    "logprob": row[token],
                    "top_logprobs": [{"token": t, "logprob": v} for t, v in row.items()],
                }
                for token, row in zip(tokens, rows, strict=True)
            ]
            choice |= {"message": {"role": "assistant", "content": "".join(tokens)}}
            choice |= {"logprobs": {"content": content} if wants else None}
        else:
            listed = {
                "tokens": tokens,
                "token_logprobs": [row[token] for token, row in zip(tokens, rows, strict=True)],
                "top_logprobs": rows,
            }
            choice |= {"text": "".join(tokens), "logprobs": listed if wants else None}
        num_prompt = len(prompt.split()) + (0 if is_continued else 3)
        return {"choices": [choice], "usage": {"prompt_tokens": num_prompt, "completion_tokens": len(tokens)}}

    return answer


def _row(token: str, num_logprobs: int) -> dict[str, float]:
    digits = [f" {label}" for label in range(1, 6)]
    if token not in digits:
        others = {f" other{number}": log(0.1 / num_logprobs) for number in range(1, num_logprobs)}
        return {token: log(0.9), **others}
    others = [digit for digit in digits if digit != token][: num_logprobs - 1]
    return {token: log(0.8), **dict.fromkeys(others, log(0.05))}


def several(answer):
    """Take lists of prompts as vLLM does: each is answered, with its place, and the counts are those of all."""

    def answer_all(path: str, body: dict):
        prompts = body.get("prompt")
        if not isinstance(prompts, list) or isinstance(prompts[0], int):
            return answer(path, body)
        made = [answer(path, {**body, "prompt": prompt}) for prompt in prompts]
        if any(isinstance(one, int) for one in made):
            return next(one for one in made if isinstance(one, int))
        usage = {name: sum(one["usage"][name] for one in made) for name in made[0]["usage"]}
        return {"choices": [{**one["choices"][0], "index": at} for at, one in enumerate(made)], "usage": usage}

    return answer_all


class ModelServer:
    """Answers completions like vLLM: token ids, log-probabilities of chosen ids, sampling with a seed."""

    def __init__(self, loaded: LoadedModel, *, context_length: int | None = None) -> None:
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        self.context_length = context_length

    @torch.inference_mode()
    def __call__(self, path: str, body: dict):
        if body["model"] != "judge" or not path.endswith("/v1/completions"):
            return 404
        prompt = body["prompt"]
        ids = prompt if isinstance(prompt, list) else self._tokenizer(prompt)["input_ids"]
        if self.context_length is not None and len(ids) + body["max_tokens"] > self.context_length:
            return 400
        written, rows, is_stopped = [], [], False
        generator = torch.Generator().manual_seed(body.get("seed", 0))
        while len(written) < body["max_tokens"] and not is_stopped:
            logits = self._model(torch.tensor([[*ids, *written]]), logits_to_keep=1).logits[0, -1].float()
            token = self._next(logits, body, generator)
            is_stopped = token == self._tokenizer.eos_token_id
            if not is_stopped or not written:
                written.append(token)
                rows.append(self._row(logits.log_softmax(-1), token, body))
        choice = {
            "text": self._tokenizer.decode(written, skip_special_tokens=True),
            "finish_reason": "stop" if is_stopped else "length",
            "logprobs": self._listed(written, rows, body) if body.get("logprobs") else None,
        }
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": len(written)}}

    def _next(self, logits, body, generator) -> int:
        temperature = body.get("temperature", 1)
        if temperature == 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))

    def _row(self, logprobs, token: int, body: dict) -> dict[int, float]:
        chosen = body.get("logprob_token_ids") or logprobs.topk(body.get("logprobs") or 1).indices.tolist()
        return {index: float(logprobs[index]) for index in {token, *chosen}}

    def _listed(self, written, rows, body) -> dict:
        def name(token: int) -> str:
            return f"token_id:{token}" if body.get("return_tokens_as_token_ids") else self._tokenizer.decode([token])

        return {
            "tokens": [name(token) for token in written],
            "token_logprobs": [row[token] for token, row in zip(written, rows, strict=True)],
            "top_logprobs": [{name(index): value for index, value in row.items()} for row in rows],
        }
