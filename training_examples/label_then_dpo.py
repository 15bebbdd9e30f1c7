"""Label a preference file, and train a policy with DPO on the pairs whose order the judge confirms.

    python training_examples/label_then_dpo.py --dataset pairs.jsonl --out dpo --max-steps 20

A stopped labeling goes on where it was. `prom-reward report dpo/labels` shows what the judge saw.
"""

import argparse
from pathlib import Path

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from prom_reward import PromRewardError, export_labels, label, load_judge, load_policy, load_rubric, read_values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="preference pairs: JSONL, JSON, CSV, Parquet, datasets folder")
    parser.add_argument("--out", default="dpo-output", help="a folder for labels and checkpoints")
    parser.add_argument("--judge", default="smollm2-135m", help="a preset, a folder, a hub id or a YAML file")
    parser.add_argument("--policy", default="smollm2-135m", help="a preset, a folder or a hub id")
    parser.add_argument("--rubric", default="helpfulness", help="for rows without one")
    parser.add_argument("--limit", type=int, help="rows to label at most")
    parser.add_argument("--min-margin", type=float, default=0.1, help="leave out pairs below it, in logits")
    parser.add_argument("--max-steps", type=int, default=20, help="optimizer steps")
    options = parser.parse_args()

    found = label(
        options.dataset,
        judge=load_judge(options.judge),
        rubric=load_rubric(options.rubric),
        out=Path(options.out) / "labels",
        limit=options.limit,
    )
    [export] = export_labels(found.out, ["dpo"], min_margin=options.min_margin)
    print(f"agreement {dict(found.agreement)}; {export.num_written} pairs, dropped {dict(export.dropped)}")

    policy, tokenizer = load_policy(options.policy)
    trainer = DPOTrainer(
        model=policy,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(read_values(export.path)),
        args=DPOConfig(
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
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print("loss by step:", " ".join(f"{loss:.3f}" for loss in losses))


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
