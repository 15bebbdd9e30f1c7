"""Digests of local model folders, so that other weights at the same path are another judge."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO

from prom_reward.engines.model.source import ModelSource, resolve_path

_TEXTS = [
    *("config.json", "generation_config.json", "adapter_config.json", "*.index.json", "*.py"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "chat_template.*"),
    *("vocab.*", "merges.txt", "tekken.json", "*.model", "*.tiktoken"),
]
_WEIGHTS = ["*.safetensors", "pytorch_model*.bin"]
_DATE = b"strftime_now"
_BLOCK_BYTES, _NUM_BLOCKS = 4096, 64  # per shard: a header and 63 places show other weights in some milliseconds
_TENSOR_BYTES, _TENSOR_PLACES = 256, 5  # of each tensor: a training may change the biases alone
_MOST_HEADER_BYTES = 100 << 20  # what safetensors itself allows
_GGUF_TEXT_BYTES = 64 << 20  # of a vocabulary and the chat template after it


def source_identity(source: ModelSource, *parts: object) -> str:
    """Return one line on the origin of weights and further parts; loads nothing.

    A local folder is its digest, wherever it lies: another path to it, or a copy, is the same judge. If the chat
    template writes the current date, so does the line: the prompts of another day are other prompts.

    Args:
        source: Origin of the weights.
        parts: Further settings that an answer depends on.
    """
    folders = [resolve_path(name) for name in (source.model, source.adapter, source.tokenizer) if name]
    today = datetime.now(UTC).astimezone().date() if any(_writes_date(name, source) for name in folders) else ""
    model, *others = _places(source)
    told = [model, source.revision, source.gguf_file, *others, source.dtype, source.quantization, today, *parts]
    return "|".join(str(part or "") for part in told)


def states_identity(source: ModelSource, *parts: object) -> str:
    """Return one line on the weights and tokenizer that hidden states come from: a moved folder is still the same.

    Args:
        source: Origin of the weights.
        parts: Further settings that the tokens of a prompt depend on.
    """
    return "|".join(str(part or "") for part in [*_places(source), source.revision, source.quantization, *parts])


def _places(source: ModelSource) -> list[str]:
    """Return the digests of the model's, the adapter's and the tokenizer's folders, or their names on the hub."""
    weights = [
        _named(name, file, has_weights=True)
        for name, file in ((source.model, source.gguf_file), (source.adapter, None))
    ]
    return [*weights, _named(source.tokenizer, None, has_weights=False)]


def _named(name: str | None, gguf_file: str | None, *, has_weights: bool) -> str:
    """Return a folder's digest; with its name if it has no weights that the digest could tell from others."""
    if not name:
        return ""
    folder = Path(resolve_path(name))
    digest = folder_digest(folder, gguf_file=gguf_file)
    if has_weights and digest and not _matching(folder, [gguf_file] if gguf_file else _WEIGHTS):
        return f"{digest}:{name}"
    return digest or name


def folder_digest(folder: str | Path, *, gguf_file: str | None = None) -> str:
    """Return a digest of a local model or adapter folder; empty if there is none.

    Configs, tokenizer, chat template and code are read whole, weight shards in 64 places and in five of each tensor: a
    training changes all of its values, and so some of these.
    """
    path = Path(folder)
    if not path.is_dir():
        return ""
    digest = hashlib.sha256()
    for file in _matching(path, [*_TEXTS, *([gguf_file] if gguf_file else _WEIGHTS)]):
        is_text = any(fnmatch(file.name, pattern) for pattern in _TEXTS)
        content = file.read_bytes() if is_text else _sampled(file)
        digest.update(f"{file.relative_to(path)}:{file.stat().st_size}\n".encode() + content)
    return digest.hexdigest()[:16]


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def _writes_date(name: str, source: ModelSource) -> bool:
    """Whether the chat template of a local folder, or of a hub model that was downloaded, writes the current date."""
    folder = Path(name) if Path(name).is_dir() else _cached(name, source.revision if name == source.model else None)
    files = (
        _matching(folder, ["tokenizer_config.json", "chat_template.*", *filter(None, [source.gguf_file])])
        if folder
        else []
    )
    return any(_DATE in _beginning(file) for file in files)


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_GGUF_TEXT_BYTES)


def _cached(name: str, revision: str | None) -> Path | None:
    """Return the folder of a hub model's tokenizer in the hub's cache; None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    with suppress(ValueError):  # no hub id
        found = try_to_load_from_cache(name, "tokenizer_config.json", revision=revision)
        return Path(found).parent if isinstance(found, str) else None
    return None


def _sampled(file: Path) -> bytes:
    """Return blocks of a file, from its beginning to its end, and of each of its tensors."""
    last = max(0, file.stat().st_size - _BLOCK_BYTES)
    even = [(last * number // (_NUM_BLOCKS - 1), _BLOCK_BYTES) for number in range(_NUM_BLOCKS)]
    blocks = []
    with file.open("rb") as opened:
        for place, length in [*even, *((place, _TENSOR_BYTES) for place in _tensor_places(opened))]:
            opened.seek(place)
            blocks.append(opened.read(length))
    return b"".join(blocks)


def _tensor_places(opened: BinaryIO) -> list[int]:
    """Return places in the tensors of a safetensors file; none of another file, as a header that cannot be read."""
    length = int.from_bytes(opened.read(8), "little")
    if length > _MOST_HEADER_BYTES:
        return []
    try:
        header = json.loads(opened.read(length))
        spans = [one["data_offsets"] for one in header.values() if "data_offsets" in one]
        tensors = [(int(start), int(end)) for start, end in spans]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return []
    steps = range(_TENSOR_PLACES)
    places = {
        8 + length + start + max(0, end - start - _TENSOR_BYTES) * step // (_TENSOR_PLACES - 1)
        for start, end in tensors
        for step in steps
    }
    return sorted(place for place in places if 0 <= place < 1 << 60)
