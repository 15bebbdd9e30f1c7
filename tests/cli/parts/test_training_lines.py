"""The lines that say how a training goes."""

from types import SimpleNamespace

from prom_reward.cli.parts.training_lines import training_lines


def test_the_first_step_all_losses_and_all_validations_of_a_training_are_told(capsys):
    lines, state = training_lines(), SimpleNamespace(global_step=4, max_steps=9)
    lines.on_train_begin(None, state, None)
    for state.global_step in (5, 6):
        lines.on_step_end(None, state, None)
    lines.on_log(None, state, None, logs={"loss": 1.25, "grad_norm": 3.0})
    lines.on_log(None, state, None, logs={"eval_loss": 2.0, "eval_pearson": 0.5})
    lines.on_log(None, state, None, logs={"eval_loss": 2.0})
    lines.on_log(None, state, None, logs={"train_runtime": 3.0})
    lines.on_train_end(None, state, None)
    lines.on_log(None, state, None, logs={"eval_loss": 7.0})  # of the best checkpoint, in the table at the end
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in told] == [
        "going on after step 4: 9 steps in all; the first one shows the speed ...",
        "step 5 of 9",
        "step 6 of 9: loss 1.250",
        "step 6 of 9: held out: loss 2.000",
        "step 6 of 9: held out: loss 2.000",
        "the steps are done; measuring and writing the judge ...",
    ]
    assert told[1].endswith(" min left") and told[3].endswith(", Pearson 0.500")
