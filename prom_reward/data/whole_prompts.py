"""Rows that hold whole Prometheus prompts, as benchmark files and the training sets of judges do."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prom_reward.data.cells import messages_of, read_answer, read_cell
from prom_reward.data.columns import Columns
from prom_reward.errors import RowError
from prom_reward.prompts.prompt_parts import compares_two, components
from prom_reward.prompts.transcripts import PromptValue

if TYPE_CHECKING:
    from prom_reward.data.formats import Kind

_SIDES = ("chosen_instruction", "rejected_instruction")  # of the published HHH file


def whole_prompts(columns: Columns) -> tuple["Kind", PromptValue, Sequence[PromptValue]] | None:
    """Take apart whole Prometheus prompts: a row's one, perhaps with the judge's verdict, or one for each side.

    Returns:
        The kind of the row, the instruction and the responses; None if it holds no such prompt.

    Raises:
        RowError: The sides differ in more than their responses, or the prompt compares two.
    """
    sides = [columns.values.get(name) for name in _SIDES]
    if all(isinstance(side, str) for side in sides) and columns.get("chosen") is None:
        found = [components(str(side)) for side in sides]
        if all(found):
            _check_alike(found)
            return _of_components(columns, "pair", [one for one in found if one is not None], _SIDES)
    prompt, verdict = _asked_of_judge(columns)
    if prompt is None or (verdict is not None and "[RESULT]" not in verdict):
        return None
    if compares_two(prompt):
        if any(map(columns.having, ("chosen", "rejected", "responses"))):
            return None  # several verdicts of a judge, to be judged themselves
        raise RowError(
            "got a whole prompt for a judge with two responses to compare; expected the responses in columns of their "
            "own, as Preference-Collection's orig_instruction, orig_response_A, orig_response_B and orig_preference"
        )
    found_one = components(prompt)
    if found_one is None:
        return None
    if verdict is not None:
        columns.take("verdict", *columns.having("response"), "output")
        columns.values = {**columns.values, "output": columns.values.get("output") or verdict}  # where labels stand
    return _of_components(columns, "response", [found_one], ())


def _asked_of_judge(columns: Columns) -> tuple[str | None, str | None]:
    """Return a row's question and its answer as texts, which may be a judge's prompt and verdict."""
    asked, answer = columns.values.get("orig_instruction") or columns.get("prompt"), columns.get("response")
    columns.forget("response")  # whoever judges it reads it again
    try:
        turns = messages_of(read_cell(columns.get("messages") if asked is None else asked) or [])
        if turns is None:
            return str(asked), _last_text(answer)
        if asked is None and turns and turns[-1].role == "assistant":
            answer = turns.pop().text
        prompt = turns[-1].text if turns and turns[-1].role == "user" else None
        return prompt, _last_text(answer)
    except RowError:  # what is not understood is no such prompt; who reads it again says what is wrong
        return None, None


def _last_text(answer: Any) -> str | None:
    """Return an answer's text, of messages the last one's; None if there is none."""
    if answer is None or isinstance(answer, str):
        return answer
    read = messages_of(read_answer(answer))
    return read[-1].text if read else str(answer)


def _check_alike(sides: Sequence[Mapping[str, str] | None]) -> None:
    """Refuse sides that differ in more than their responses, as both are judged by the first one's."""
    first, second = ({**(side or {}), "response": ""} for side in sides)
    if first != second:
        name = next(name for name in {**first, **second} if first.get(name) != second.get(name))
        raise RowError(
            f"{' and '.join(_SIDES)} differ in their {name}; expected prompts that differ in the responses alone"
        )


def _of_components(
    columns: Columns, kind: "Kind", found: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple["Kind", PromptValue, Sequence[PromptValue]]:
    columns.take("pair", *names)
    columns.values = {**columns.values, "rubric": found[0]["rubric"], **_reference_of(found[0])}
    return kind, found[0]["instruction"], [one["response"] for one in found]


def _reference_of(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"reference_answer": found["reference_answer"]} if found.get("reference_answer") else {}
