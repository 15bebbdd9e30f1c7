import pytest

from tests.tiny_wordnet import write_wordnet


@pytest.fixture(scope="session")
def wordnet(tmp_path_factory):
    return write_wordnet(tmp_path_factory.mktemp("wordnet"))
