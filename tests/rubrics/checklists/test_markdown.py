"""Lists as people and models write them: markers and points of many kinds are read, or refused, never dropped."""

import pytest

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.forms import looks_like_checklist, parse_checklist

BOTH = ["Names a clear dose.", "Invents a new diagnosis."]


def weights(value):
    assert looks_like_checklist(value)
    return [(one.text, one.weight) for one in parse_checklist(value).criteria]


@pytest.mark.parametrize("marker", ["- ", "* ", "• ", "- [ ] ", "* [x] ", "☐ ", "☑", "・", "1. ", "2) ", "3、", "12．"])
def test_items_have_many_markers(marker):
    assert [text for text, _ in weights("".join(f"{marker}{text}\n" for text in BOTH))] == BOTH


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (" (5 points)", " (-3 points)"),
        (" (+5)", " (\u22123)"),
        (" [5 pts]", " [\u20133 pts]"),
        (" (5 marks)", " (-3 marks)"),
        ("（5分）", "（-3 分）"),
        (" (weight: 5)", " (weight=-3)"),
    ],
)
def test_points_in_brackets_are_the_weight_in_a_text_and_in_a_list_of_texts(first, second):
    written = [f"{BOTH[0]}{first}", f"{BOTH[1]}{second}"]
    assert weights(written) == weights("\n".join(f"- {one}" for one in written)) == [(BOTH[0], 5), (BOTH[1], -3)]


def test_points_are_read_beside_marks_and_full_stops():
    assert weights("- **Names a dose (5 points)**\n- Invents a sign (-3 points).\n- **[-2]** Is rude to users.") == [
        ("**Names a dose**", 5),
        ("Invents a sign.", -3),
        ("Is rude to users.", -2),
    ]


@pytest.mark.parametrize(
    "written",
    [
        "Names a clear dose (5 points), for adults",
        "Deduct 3 points if it is rude",
        "Is rude to users (negative)",
        "Names a clear dose: 5 points",
        "Names a clear dose - 5 pts.",
        "Names a clear dose (worth 5 points)",
        "+5 Names a clear dose",
        "-3: Invents a new diagnosis",
        "5 points: Names a clear dose",
        "给出剂量：5分",
    ],
)
def test_points_in_another_form_are_refused(written):
    for value in (f"- {written}\n- {BOTH[0]}", [written, BOTH[0]]):
        with pytest.raises(RubricError, match=r"expected its points in brackets at the end, as '\(5 points\)'"):
            parse_checklist(value)


@pytest.mark.parametrize(
    "form",
    [
        "{} (5)",
        "[5] {}",
        "{} (50%)",
        "{} (x2)",
        "{} **5**",
        "{} [5/10]",
        "{} (0-5)",
        "{} (/5).",
        "{} 5 points",
        "{} 50 %",
    ],
)
def test_a_number_beside_every_criterion_is_refused(form):
    for value in ([form.format(one) for one in BOTH], [{"criterion": form.format(one)} for one in BOTH]):
        with pytest.raises(RubricError, match="got a number beside every criterion"):
            parse_checklist(value)


def test_a_number_beside_one_criterion_is_text():
    assert weights(["Cites the study of Lee (2).", BOTH[0]]) == [("Cites the study of Lee (2).", 1), (BOTH[0], 1)]


@pytest.mark.parametrize("text", ["Names at least 3 points.", "Gives 5 points", "Says that -3 is less.", "Lists 2 pts"])
def test_numbers_inside_of_a_criterion_are_text(text):
    assert weights([text, BOTH[0]])[0] == (text, 1)


@pytest.mark.parametrize(
    "title", ["Darf nicht:", "## Mistakes", "**À éviter**", "不能:", "Don\u2019t:", "Red flags", "Без:"]
)
def test_a_title_that_turns_its_list_around_is_refused(title):
    with pytest.raises(RubricError, match="outside of the list of criteria"):
        parse_checklist(f"{title}\n- {BOTH[0]}\n- {BOTH[1]}")


def test_a_title_that_only_names_the_list_is_left_out():
    for title in ("# Rubric", "Kriterien:", "**Evaluation criteria**"):
        assert len(weights(f"{title}\n- {BOTH[0]}\n- {BOTH[1]}")) == 2


@pytest.mark.parametrize("heading", ["Must avoid:", "## Pitfalls", "**Deductions**", "不能："])
def test_a_heading_inside_of_a_list_is_no_part_of_the_item_before(heading):
    for between in ("\n", "\n\n"):
        with pytest.raises(RubricError, match="outside of the list of criteria"):
            parse_checklist(f"- {BOTH[0]}{between}{heading}\n- {BOTH[1]}")
    with pytest.raises(RubricError, match="expected a criterion, as a sentence"):
        parse_checklist(f"1. {BOTH[0]}\n2. The answer must avoid:\n3. {BOTH[1]}")


def test_a_wrapped_line_belongs_to_its_item():
    [(text, _), _] = weights(f"- {BOTH[0]}\nin plain words\n- {BOTH[1]}")
    assert text == f"{BOTH[0]}\nin plain words"
