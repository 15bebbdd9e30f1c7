"""One process of two that train on one served judge; `test_served_ranks.py` starts it with torchrun.

served_ranks.py MODEL_FOLDER URL OUT
"""

import sys
import time
from pathlib import Path

from transformers import AutoTokenizer, TrainerCallback

from prom_reward import PrometheusReward, load_judge
from tests.integration.trainers import STANDARD, make


def length_score(prompt) -> str:
    """Judge a response by its length; the served scripted judge."""
    response = prompt.user.split("###Response to evaluate:\n")[-1].split("\n\n###")[0]
    return f"{len(response)} [RESULT] {1 + len(response) % 5}"


class KillInTheMiddle(TrainerCallback):
    """After the second step, asks for the server's death and goes on when it is dead."""

    def __init__(self, out):
        self._out = out

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 2:
            (self._out / "half").touch()
            while not (self._out / "killed").exists():
                time.sleep(0.05)


def main() -> None:
    folder, url, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    reward = PrometheusReward(load_judge(url), "helpfulness", name="served", log_path=out / "log.jsonl")
    settings = {"per_device_train_batch_size": 2, "num_generations": 4, "max_steps": 4, "ddp_backend": "gloo"}
    trainer = make("GRPO", folder, AutoTokenizer.from_pretrained(folder), reward, STANDARD * 4, out, **settings)
    assert trainer.accelerator.num_processes == 2
    trainer.add_callback(KillInTheMiddle(out))
    trainer.train()


if __name__ == "__main__":
    main()
