import importlib.util
import math
import random
import sys
import types

import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion

unit = st.floats(0, 1)
weights = st.integers(-10, 10).filter(bool)


def criterion(name, weight=1.0, **changes):
    return Criterion(text=f"It is {name}.", name=name, weight=weight, **changes)


@st.composite
def scored_checklists(draw, **changes):
    """A checklist of up to eight criteria with a value for each."""
    drawn = draw(st.lists(st.tuples(weights, st.none() | unit), min_size=1, max_size=8))
    criteria = tuple(criterion(f"c{at}", weight) for at, (weight, _) in enumerate(drawn))
    return Checklist(criteria=criteria, **changes), {f"c{at}": value for at, (_, value) in enumerate(drawn)}


def test_the_score_is_the_share_of_the_positive_weights_less_the_pitfalls():
    checklist = Checklist(criteria=(criterion("a", 5), criterion("b", 3), criterion("bad", -4)))
    assert checklist.score({"a": 1.0, "b": 0.5, "bad": 0.25}).score == pytest.approx((5 + 1.5 - 1) / 8)
    assert checklist.score({"a": 1.0, "b": 0.5, "bad": 0.25}, hard=True).score == 1.0
    assert checklist.score({"a": 0.0, "b": 0.0, "bad": 1.0}).score == 0.0
    plain = Checklist(criteria=checklist.criteria, clip=False)  # HealthBench's rule for one example
    assert plain.score({"a": 0.0, "b": 0.0, "bad": 1.0}).score == -0.5


def test_pitfalls_alone_start_from_a_full_score():
    checklist = Checklist(criteria=(criterion("a", -1), criterion("b", -3)))
    assert checklist.score({"a": 1.0, "b": 0.0}).score == pytest.approx(0.75)


def test_what_nobody_could_tell_leaves_both_sums_and_is_counted():
    checklist = Checklist(criteria=(criterion("a", 5), criterion("b", 3)))
    found = checklist.score({"a": None, "b": 0.5})
    assert (found.score, [part.value for part in found.parts].count(None)) == (0.5, 1)
    assert checklist.score({}).score is None


def test_a_tree_weighs_children_among_themselves():
    tree = Checklist(
        criteria=(
            criterion("code", 3, children=(criterion("runs", 1), criterion("tests", 3))),
            criterion("paper", 1),
        )
    )
    assert [leaf.name for leaf in tree.leaves()] == ["runs", "tests", "paper"]
    found = tree.score({"runs": 1.0, "tests": 0.0, "paper": 1.0})
    assert found.score == pytest.approx((3 * 0.25 + 1) / 4)  # PaperBench: a node is the weighted mean of its parts


def test_a_criterion_counts_at_most_as_much_as_what_it_requires():
    checklist = Checklist(criteria=(criterion("a"), criterion("b", requires=("a",))))
    assert checklist.score({"a": 0.0, "b": 1.0}).score == 0.0
    assert checklist.score({"a": 1.0, "b": 1.0}).score == 1.0
    assert checklist.score({"a": None, "b": 1.0}).score is None


@pytest.mark.parametrize(
    ("role", "values", "score"),
    [
        ("gate", {"g": 0.4, "a": 1.0}, 0.1),
        ("gate", {"g": 0.5, "a": 0.7}, 0.7),
        ("veto", {"g": 0.5, "a": 1.0}, 0.1),
        ("veto", {"g": 0.4, "a": 0.7}, 0.7),
        ("gate", {"g": None, "a": 1.0}, None),
    ],
)
def test_a_gate_dominates(role, values, score):
    checklist = Checklist(criteria=(criterion("g", role=role), criterion("a")), floor=0.1)
    assert checklist.score(values).score == score


@pytest.mark.parametrize(("combine", "score"), [("mean", 0.6), ("min", 0.4), ("product", 0.8 * 0.4)])
def test_other_ways_to_join(combine, score):
    checklist = Checklist(criteria=(criterion("a"), criterion("b")), combine=combine)
    assert checklist.score({"a": 0.8, "b": 0.4}).score == pytest.approx(score)


def test_a_saturated_score_is_full():
    checklist = Checklist(criteria=(criterion("a"), criterion("b")), saturate=0.5)
    assert checklist.score({"a": 1.0, "b": 0.0}).score == 1.0
    assert checklist.score({"a": 0.5, "b": 0.0}).score == 0.5


@given(scored_checklists(), st.sampled_from(["mean", "min", "product"]))
def test_a_score_is_bounded_or_none(drawn, combine):
    checklist, values = drawn
    found = Checklist(criteria=checklist.criteria, combine=combine).score(values)
    assert found.score is None or 0 <= found.score <= 1
    assert (found.score is None) == all(value is None for value in values.values())


@given(scored_checklists(), st.data())
def test_more_of_a_gain_never_lowers_and_more_of_a_pitfall_never_raises(drawn, data):
    checklist, values = drawn
    told = [one for one in checklist.criteria if values[one.name] is not None]
    if not told:
        return
    changed = data.draw(st.sampled_from(told))
    higher = data.draw(st.floats(values[changed.name], 1))
    before = checklist.score(values).score
    after = checklist.score({**values, changed.name: higher}).score
    assert (after - before) * math.copysign(1, changed.weight) >= -1e-9


@given(scored_checklists())
def test_an_untold_criterion_is_neutral(drawn):
    checklist, values = drawn
    wider = Checklist(criteria=(*checklist.criteria, criterion("extra", 7)))
    assert wider.score({**values, "extra": None}).score == pytest.approx(checklist.score(values).score)


def test_prerequisites_reach_through_others_however_long_the_chain():
    chain = [criterion("c0"), *(criterion(f"c{at}", requires=(f"c{at - 1}",)) for at in range(1, 200))]
    checklist = Checklist(criteria=tuple(chain), combine="min")
    values = {f"c{at}": 1.0 for at in range(200)}
    assert checklist.score(values).score == 1.0
    found = checklist.score({**values, "c0": 0.2})
    assert {part.value for part in found.parts} == {0.2}


@given(scored_checklists(), st.floats(0, 1))
def test_a_closed_gate_dominates_and_an_open_one_changes_nothing(drawn, gate):
    checklist, values = drawn
    gated = Checklist(criteria=(criterion("g", role="gate"), *checklist.criteria), floor=0.25)
    found = gated.score({**values, "g": gate}).score
    assert found == (0.25 if gate < 0.5 else checklist.score(values).score)


@given(st.data(), st.sampled_from(["mean", "min", "product"]), st.sampled_from([0.5, 1.0]), st.booleans())
def test_the_lowest_score_is_that_of_the_worst_response(data, combine, saturate, clip):
    drawn, _ = data.draw(scored_checklists(combine=combine, saturate=saturate, clip=clip))
    names = [leaf.name for leaf in drawn.leaves()]
    worst = drawn.score({leaf.name: float(leaf.weight < 0) for leaf in drawn.leaves()}).score
    assert drawn.lowest_score == pytest.approx(worst)
    told = dict(zip(names, data.draw(st.lists(unit, min_size=len(names), max_size=len(names))), strict=True))
    assert drawn.score(told).score >= drawn.lowest_score - 1e-9


def test_a_floor_under_all_scores_is_the_lowest_if_a_gate_can_close():
    gated = Checklist(criteria=(criterion("a"), criterion("b", role="gate")), clip=False, floor=-3.0)
    assert gated.lowest_score == -3
    assert Checklist(criteria=(criterion("a"),), clip=False, floor=-3.0).lowest_score == 0


@given(scored_checklists(clip=False))
def test_the_effects_of_a_weighted_mean_add_up_to_its_score(drawn):
    checklist, values = drawn
    found = checklist.score(values)
    gains = any(one.weight > 0 for one in checklist.criteria if values[one.name] is not None)
    if found.score is not None and gains:
        # without its only gain a checklist has another rule, or no score
        effects = [part.effect for part in found.parts if part.effect is not None]
        assert math.fsum(effects) == pytest.approx(found.score, abs=1e-9)


@given(scored_checklists(), st.sampled_from(["mean", "min", "product"]), st.floats(0.05, 1))
def test_a_lower_saturation_never_lowers_a_score(drawn, combine, saturate):
    checklist, values = drawn
    full = Checklist(criteria=checklist.criteria, combine=combine).score(values).score
    sooner = Checklist(criteria=checklist.criteria, combine=combine, saturate=saturate).score(values).score
    assert sooner is full is None or sooner >= full


def test_a_weight_of_0_counts_in_no_way_of_joining():
    for combine in ("mean", "min", "product"):
        checklist = Checklist(criteria=(criterion("a"), criterion("b", 0)), combine=combine)
        assert checklist.score({"a": 0.7, "b": 0.1}).score == pytest.approx(0.7)


def test_a_criterion_is_a_rubric_of_its_answers():
    assert dict(criterion("a").rubric.descriptions).keys() == {0, 1}
    graded = criterion("b", options=("poor", "fair", "good"), may_abstain=True)
    assert graded.rubric.scale.labels == (0, 1, 2, 3)
    assert graded.value({0: 0.0, 1: 0.2, 2: 0.2, 3: 0.6}) is None
    assert graded.value({0: 0.0, 1: 0.3, 2: 0.3, 3: 0.4}) == pytest.approx(0.75)
    assert criterion("a").value({0: 0.3, 1: 0.7}) == pytest.approx(0.7)
    uneven = criterion("c", options=("no", "partly", "yes"), option_values=(0.0, 0.2, 1.0))
    assert uneven.value({0: 0.0, 1: 1.0, 2: 0.0}) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Checklist(criteria=()), "no criteria"),
        (lambda: Checklist(criteria=(criterion("a", 0), criterion("b", 0))), "all weights are 0"),
        (lambda: Criterion(text=" "), "no text"),
        (lambda: Checklist(criteria=(criterion("a"), criterion("a"))), "criterion 2: has the name 'a' of criterion 1"),
        (lambda: Checklist(criteria=(criterion("a", requires=("x",)),)), "criterion 1: requires 'x'"),
        (
            lambda: Checklist(criteria=(criterion("a", requires=("b",)), criterion("b", requires=("a",)))),
            "criterion 1: 'a' requires itself",
        ),
        (lambda: criterion("a", children=(criterion("b", 0),)), "weights of its children are all 0"),
        (lambda: criterion("a", options=("only",)), "got the options"),
        (lambda: criterion("a", math.nan), "got the weight nan"),
        (lambda: Criterion(text="a", name=3), "got 3 as the name; expected a text"),
        (lambda: Criterion(text="a", name=None), "got None as the name; expected a text"),
        (lambda: Checklist(criteria=(criterion("a"),), name=3), "checklist 3: got 3 as the name; expected a text"),
        (lambda: criterion("a", requires="b"), "got requires='b'; expected a tuple of texts"),
        (lambda: criterion("a", options=("no", 1)), "got options=.* expected a tuple of texts"),
        (lambda: criterion("a", may_abstain="false"), "got may_abstain='false'; expected one of true, false"),
        (lambda: criterion("a", options=("x", "y"), option_values=(1.0, 0.0)), "ascending"),
        (lambda: Checklist(criteria=tuple(criterion(str(at)) for at in range(10_000))), "got 10000 criteria"),
        (lambda: Checklist(criteria=(criterion("a"),), saturate=0), "saturate=0"),
        (lambda: Checklist(criteria=(criterion("a"),), combine="average"), "combine='average'; expected one of mean"),
        (lambda: Checklist(criteria=(criterion("a"),), floor=-1), "floor=-1"),
        (lambda: Checklist(criteria=(criterion("a"),), clip="no"), "clip='no'"),
        (lambda: Checklist(criteria=(criterion("a"),), weight=0), "got the weight 0"),
        (lambda: criterion("a", role="gates"), "role='gates'.*'gate'"),
        (lambda: criterion("a", combine="avg"), "combine='avg'"),
        (lambda: criterion("a", True), "got the weight True"),
        (lambda: criterion("a", -1, role="gate"), "a gate with the weight -1"),
        (lambda: criterion("a", options=("x", "x")), "two or more different"),
        (lambda: criterion("a", check=CodeCheck("is_json"), options=("x", "y")), "options beside a check"),
        (lambda: criterion("a", children=(criterion("b"),), check=CodeCheck("is_json")), "children beside options"),
        (lambda: criterion("a", children=(criterion("b", role="gate"),)), "gate or veto among its children"),
    ],
)
def test_a_broken_checklist_is_refused(make, message):
    with pytest.raises(RubricError, match=message):
        make()


@pytest.fixture(scope="module")
def autorubric():
    """AutoRubric's scoring module, without its package's heavy imports."""
    spec = importlib.util.find_spec("autorubric")
    if spec is None:
        pytest.skip("autorubric is not installed")
    package = types.ModuleType("autorubric")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["autorubric"] = package
    scoring = importlib.import_module("autorubric.scoring")
    yield scoring, importlib.import_module("autorubric.types")
    for name in [name for name in sys.modules if name.partition(".")[0] == "autorubric"]:
        del sys.modules[name]


def test_scores_equal_those_of_autorubric(autorubric):
    scoring, kinds = autorubric
    verdicts = {None: kinds.CriterionVerdict.CANNOT_ASSESS, 0.0: kinds.CriterionVerdict.UNMET}
    draw = random.Random(0)
    skip = kinds.CannotAssessConfig(strategy=kinds.CannotAssessStrategy.SKIP)
    for _ in range(10_000):
        drawn = [
            (draw.choice([-3, -1.5, 0.5, 1, 2, 10]), draw.choice([None, 0.0, 1.0])) for _ in range(draw.randint(1, 9))
        ]
        reports = [
            kinds.CriterionReport(
                name=f"c{at}",
                requirement="r",
                weight=weight,
                verdict=verdicts.get(value, kinds.CriterionVerdict.MET),
                reason="",
            )
            for at, (weight, value) in enumerate(drawn)
        ]
        checklist = Checklist(criteria=tuple(criterion(f"c{at}", weight) for at, (weight, _) in enumerate(drawn)))
        found = checklist.score({f"c{at}": value for at, (_, value) in enumerate(drawn)}).score
        expected = scoring.score_reports(reports, skip)
        assert found == expected if expected is None else found == pytest.approx(expected, abs=1e-12)
