"""Label a preference file, and train a small reward model with margins on the pairs whose order the judge confirms.

    python training_examples/label_then_reward_model.py --dataset pairs.jsonl --out reward-model --max-steps 20

A reward model reads prompt and response alone; the judge reads a rubric, too, and may write feedback.
"""

import argparse
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer

from prom_reward import PromRewardError, export_labels, label, load_judge, load_policy, load_rubric, read_values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="preference pairs: JSONL, JSON, CSV, Parquet, datasets folder")
    parser.add_argument("--out", default="reward-model", help="a folder for labels and the model")
    parser.add_argument("--judge", default="smollm2-135m", help="a preset, a folder, a hub id or a YAML file")
    parser.add_argument("--base", default="smollm2-135m", help="what becomes the reward model")
    parser.add_argument("--rubric", default="helpfulness", help="for rows without one")
    parser.add_argument("--limit", type=int, help="rows to label at most")
    parser.add_argument("--max-steps", type=int, default=20, help="optimizer steps")
    options = parser.parse_args()

    found = label(
        options.dataset,
        judge=load_judge(options.judge),
        rubric=load_rubric(options.rubric),
        out=Path(options.out) / "labels",
        limit=options.limit,
    )
    [export] = export_labels(found.out, ["reward"])
    print(f"agreement {dict(found.agreement)}; {export.num_written} pairs with a margin")

    base, tokenizer = load_policy(options.base)
    model = AutoModelForSequenceClassification.from_pretrained(base.config.name_or_path, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    trainer = RewardTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(read_values(export.path)),
        args=RewardConfig(
            output_dir=options.out,
            max_steps=options.max_steps,
            per_device_train_batch_size=2,
            max_length=512,
            learning_rate=1e-5,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            bf16=False,
        ),
    )
    trainer.train()
    trainer.save_model(options.out)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print("loss by step:", " ".join(f"{loss:.3f}" for loss in losses))


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
