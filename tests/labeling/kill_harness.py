"""Labels a file in forked processes and kills them with SIGKILL; run as a program, so that it has one thread to fork.

    python kill_harness.py INPUT OUT random KILLS SEED     kills at random moments, then labels to the end
    python kill_harness.py INPUT OUT every                 kills at every write, rename and sync, each in its own run

Prints a JSON object: how many runs were killed, and at which points.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from prom_reward import files
from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import scripted_judge, verdict


def slow_verdict(prompt):
    time.sleep(0.0002)
    return verdict(prompt)


def run(source, out):
    label(source, judge=scripted_judge(slow_verdict), out=out, rubric="helpfulness", method="both", shard_size=8)


def fork(work):
    """Run `work` in a fork and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(3)
    os._exit(0)


def ended(child):
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a labeling failed")
    return os.WIFSIGNALED(status)


def kill_at_random(source, out, kills, seed):
    draw, killed, runs, longest = random.Random(seed), 0, 0, 0.4
    while killed < kills:
        start = time.monotonic()
        child = fork(lambda: run(source, out))
        time.sleep(draw.uniform(0, longest))
        os.kill(child, signal.SIGKILL)  # an ended child is a zombie until it is waited for
        runs += 1
        if ended(child):
            killed += 1
        else:  # it came to the end: begin anew, with less time
            longest = min(longest, time.monotonic() - start)
            shutil.rmtree(out)
    assert not ended(fork(lambda: run(source, out)))
    return {"killed": killed, "runs": runs}


def kill_after(count):
    """Make the process kill itself in front of its `count`-th step that changes the disk."""
    left = [count]

    def stepping(name, function):
        def step(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return step

    files.os.fsync = stepping("fsync", os.fsync)
    for kind, name in ((Path, "replace"), (Path, "unlink"), (Path, "open"), (files._RawOutput, "write")):
        setattr(kind, name, stepping(name, getattr(kind, name)))


def kill_everywhere(source, out):
    points = 0
    while True:
        points += 1

        def work(count=points):
            kill_after(count)
            run(source, out)

        shutil.rmtree(out, ignore_errors=True)
        if not ended(fork(work)):
            return {"killed": points - 1, "runs": points}
        assert not ended(fork(lambda: run(source, out)))
        check_bytes(out)


def check_bytes(out):
    expected = os.environ["EXPECTED"]
    if Path(out, "labels.jsonl").read_bytes() != Path(expected).read_bytes():
        raise SystemExit("the labels differ")


if __name__ == "__main__":
    source, out, how, *rest = sys.argv[1:]
    done = kill_everywhere(source, out) if how == "every" else kill_at_random(source, out, *map(int, rest))
    sys.stdout.write(json.dumps(done))
