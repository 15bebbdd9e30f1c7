"""How fast the explorer opens and filters 100,000 judgments, in headless Chromium.

    python tests/benchmarks/bench_report.py --judgments 100000

Every response and feedback is unique: sentences of PROM_REWARD_DATA/dev/mtbench_gpt4.jsonl, drawn at random, which
compress worse than real answers. Prints JSON: bytes of the page and of the same data in gzip; milliseconds until the
page can be used and until all texts can be searched, and of filters, searches and sorting, medians of `--repeats`.
"""

import argparse
import gzip
import json
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page

ASK = """
const [field, text, done] = arguments, box = document.getElementById(field), before = location.hash;
box.value = text;
box.dispatchEvent(new Event("input"));
const start = performance.now();
const look = () => {
  if (location.hash === before) setTimeout(look);
  else if (document.body.offsetHeight) done(performance.now() - start - 80);
};
look();
"""  # 80 ms is the pause in typing that the page waits for
QUESTIONS = [
    ("where", "score < 2"),
    ("where", "score < 3 and entropy > 1.1 or length > 900"),
    ("where", ""),
    ("find", "quantum"),
    ("find", "quantum superposition"),
    ("find", "zebra"),
    ("find", ""),
]


def write_log(path: Path, count: int) -> None:
    """Write a training's log in groups of eight."""
    rows = (Path(os.environ["PROM_REWARD_DATA"]) / "dev/mtbench_gpt4.jsonl").read_text(encoding="utf-8").splitlines()
    read = [json.loads(row) for row in rows]
    draw = random.Random(0)
    sentences = {
        name: [one for row in read for one in re.split(r"(?<=[.!?])\s", row[name]) if 20 < len(one) < 200]
        for name in ("response", "feedback")
    }
    with path.open("w", encoding="utf-8") as file:
        for at in range(count):
            score = draw.uniform(1, 5)
            weights = {str(label): 2.0 ** -abs(label - score) for label in range(1, 6)}
            probs = {label: weight / sum(weights.values()) for label, weight in weights.items()}
            record = {
                "step": at // 256,
                "row": at % 256,
                "rubric": "helpfulness",
                "outcome": "scored",
                "instruction": f"{read[at // 8 % len(read)]['instruction']} ({at // 8})",
                "response": " ".join(draw.choices(sentences["response"], k=9)),
                "feedback": " ".join(draw.choices(sentences["feedback"], k=3)),
                "score": round(score),
                "expected_score": score,
                "score_probs": probs,
                "entropy": 1 + draw.random() / 3,
                "reward": (score - 1) / 4,
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def measure(page: Path, repeats: int) -> dict[str, float]:
    """Return milliseconds by what was done."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    driver = Chrome(options=options, service=ChromeService(executable_path=shutil.which("chromedriver")))
    found: dict[str, list[float]] = {}
    try:
        for _ in range(repeats):
            driver.get("about:blank")
            driver.get(f"{page.as_uri()}#view=judgments")
            for state in ("table", "texts"):
                while driver.execute_script("return document.documentElement.dataset.ready") not in (state, "texts"):
                    time.sleep(0.01)
                found.setdefault(f"open, {state}", []).append(driver.execute_script("return performance.now()"))
            for field, text in QUESTIONS:
                found.setdefault(f"{field} {text!r}", []).append(driver.execute_async_script(ASK, field, text))
            script = (
                "const start = performance.now(); document.querySelector('[data-name=score] button').click();"
                "document.body.offsetHeight; return performance.now() - start"
            )
            found.setdefault("sort by score", []).append(driver.execute_script(script))
    finally:
        driver.quit()
    return {name: round(statistics.median(values)) for name, values in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgments", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log, page = Path(folder) / "log.jsonl", Path(folder) / "report.html"
        write_log(log, given.judgments)
        data = load_report(log)
        page.write_text(report_page(data), encoding="utf-8")
        texts = {text: None for one in data.judgments for text in (one.prompt, one.response, one.feedback)}
        packed = len(gzip.compress("\n".join(texts).encode(), 6))
        sizes = {"log": log.stat().st_size, "texts_gzip": packed, "page": page.stat().st_size}
        print(json.dumps({"judgments": given.judgments, "bytes": sizes, "ms": measure(page, given.repeats)}, indent=2))


if __name__ == "__main__":
    main()
