"""Converts a GGUF checkpoint into a plain one, once, in the user's cache.

transformers reads a GGUF file three times with a pure-Python reader, which takes half a minute for a 135M model at
every start. The plain fp32 copy loads in a second, and bitsandbytes and trainers can read it, too.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from prom_reward.errors import ConfigError

logger = logging.getLogger(__name__)

_HASHED_BYTES = 1 << 20


def plain_folder(folder: str, gguf_file: str) -> Path:
    """Return a folder with the same weights (fp32 safetensors) and tokenizer, made on the first call.

    The copy is in `$PROM_REWARD_CACHE`, else `$XDG_CACHE_HOME/prom-reward`, else `~/.cache/prom-reward`; if that is
    not writable, in the machine's folder for temporary files.

    Raises:
        OSError, ValueError: The GGUF file does not exist or cannot be read.
    """
    source = Path(folder) / gguf_file
    target = _cache_root() / "gguf" / f"{source.stem}-{_digest(source)}"
    if not (target / "config.json").exists():
        _convert(folder, gguf_file, target)
    return target


def _cache_root() -> Path:
    if "PROM_REWARD_CACHE" in os.environ:
        root = Path(os.environ["PROM_REWARD_CACHE"])
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "prom-reward"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_root()
    return root if os.access(root, os.W_OK) else _temporary_root()


def _temporary_root() -> Path:
    """Return this user's folder among the temporary files; one that others can write could hold their weights."""
    root = Path(tempfile.gettempdir()) / f"prom-reward-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700, parents=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ConfigError(
            f"{root}: got a folder that other users can write; set PROM_REWARD_CACHE to a folder of your own"
        )
    return root


def _digest(source: Path) -> str:
    """Return a digest of the file's size, first and last MiB."""
    size = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(_HASHED_BYTES)
        file.seek(max(0, size - _HASHED_BYTES))
        return hashlib.sha256(b"%d" % size + head + file.read()).hexdigest()[:16]


def _convert(folder: str, gguf_file: str, target: Path) -> None:
    """Write the plain copy beside `target`, then rename it, so that no reader sees half of it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.warning("converting %s once; later starts load the plain copy in %s", gguf_file, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        AutoTokenizer.from_pretrained(folder, gguf_file=gguf_file).save_pretrained(draft)
        _plain(AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf_file, dtype=torch.float32)).save_pretrained(
            draft
        )
        try:
            draft.rename(target)
        except OSError:
            if not target.exists():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _plain(dequantized: Any) -> Any:
    """Return the model without its GGUF quantization config, which save_pretrained refuses."""
    import torch
    from transformers import AutoModelForCausalLM

    config = dequantized.config
    del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(dequantized.state_dict(), assign=True)
    plain.tie_weights()
    return plain
