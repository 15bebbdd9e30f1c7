import pytest

from prom_reward.auditing.audit import audit
from tests.auditing.judges import judge, spoofable


@pytest.fixture(scope="session")
def spoofed():
    return audit(judge(spoofable), quick=True, num_trials=24)
