"""Counts of a served judge, in the text format of Prometheus."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from prom_reward.serving.batcher import Batcher
from prom_reward.types import JudgeAnswer

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class ServiceMetrics:
    """Counts requests, batches and outcomes since the start.

    Args:
        batcher: Its queue is measured when the counts are read.
    """

    def __init__(self, batcher: Batcher) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "prom_reward_requests", "Answered HTTP requests.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "prom_reward_request_seconds", "Time to the answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self._hang_ups = Counter(
            "prom_reward_hang_ups", "Requests whose client left before its answer.", ("route",), registry=registry
        )
        self._outcomes = Counter("prom_reward_judgments", "Judged items by outcome.", ("outcome",), registry=registry)
        self._batch_sizes = Histogram(
            "prom_reward_batch_size", "Items judged together.", buckets=_BATCH_SIZES, registry=registry
        )
        self._judge_seconds = Histogram(
            "prom_reward_batch_seconds", "Time of a batch in the judge.", buckets=_SECONDS, registry=registry
        )
        self._judge = Gauge(
            "prom_reward_judge", "What the judge says about its last batch.", ("name",), registry=registry
        )
        self._observed = Gauge("prom_reward_observer", "Observers' last metrics.", ("name",), registry=registry)
        waiting = Gauge("prom_reward_queue_length", "Items that wait for the judge.", registry=registry)
        waiting.set_function(lambda: batcher.num_waiting)
        under_way = Gauge("prom_reward_under_way", "Items that the judge has now.", registry=registry)
        under_way.set_function(lambda: batcher.num_under_way)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def hung_up(self, route: str) -> None:
        """Count a client that left before its answer."""
        self._hang_ups.labels(route).inc()

    def judged(self, answers: Sequence[JudgeAnswer], seconds: float, of_judge: Mapping[str, float]) -> None:
        """Count a judged batch."""
        for answer in answers:
            self._outcomes.labels(answer.outcome.value).inc()
        self._batch_sizes.observe(len(answers))
        self._judge_seconds.observe(seconds)
        for name, value in of_judge.items():
            self._judge.labels(name).set(value)

    def observed(self, name: str, value: float) -> None:
        """Keep an observer's metric."""
        self._observed.labels(name).set(value)

    def text(self) -> bytes:
        """Return all counts in Prometheus' text format."""
        return generate_latest(self._registry)

    def values(self) -> dict[str, float]:
        """Return all counts by name with labels, without the histograms' buckets."""
        return {
            sample.name + "".join(f"|{value}" for value in sample.labels.values()): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if not sample.name.endswith(("_bucket", "_created"))
        }
