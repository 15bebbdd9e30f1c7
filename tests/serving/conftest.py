"""A client of a served scripted judge."""

import pytest

from tests.serving.scripted_service import client_of


@pytest.fixture
def client():
    with client_of() as made:
        yield made
