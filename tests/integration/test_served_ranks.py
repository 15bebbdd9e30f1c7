import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.serving.served_process import served_process

ROOT = Path(__file__).parents[2]
SCRIPT = "tests.integration.served_ranks:length_score"


@pytest.mark.full
@pytest.mark.slow
def test_two_ranks_train_on_one_served_judge_that_is_killed_in_the_middle(tiny_judge_folder, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with served_process("--port", 0, script=SCRIPT) as server:
        port = server.url.rpartition(":")[2]
        command = [sys.executable, *ranks, "tests/integration/served_ranks.py", tiny_judge_folder, server.url, tmp_path]
        with (tmp_path / "said").open("w") as said:
            training = subprocess.Popen(list(map(str, command)), cwd=ROOT, env=environment, stderr=said)
        while not (tmp_path / "half").exists():
            assert training.poll() is None, (tmp_path / "said").read_text()[-3000:]
            time.sleep(0.1)
        server.send(signal.SIGKILL)
        server.process.wait()
    (tmp_path / "killed").touch()
    time.sleep(3)  # both ranks ask a server that is not there
    with served_process("--port", port, script=SCRIPT):
        assert training.wait(200) == 0, (tmp_path / "said").read_text()[-3000:]
    logs = [tmp_path / "log.jsonl", tmp_path / "log.rank1.jsonl"]
    records = [[json.loads(line) for line in log.read_text().splitlines()] for log in logs]
    assert [len(rank) for rank in records] == [8, 8]
    for record in [record for rank in records for record in rank]:
        assert record["feedback"] == str(len(record["response"]))
        assert record["score"] == 1 + len(record["response"]) % 5
