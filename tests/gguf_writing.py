"""Writes tiny GGUF files for tests, with the gguf package's writer."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np

LLAMA: dict[str, Any] = {
    "block_count": 2,
    "context_length": 4096,
    "embedding_length": 64,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}


def write_gguf(
    path: Path,
    settings: dict[str, Any] | None = None,
    *,
    architecture: str = "llama",
    template: bool = True,
    tokens: int = 10,
    side: int = 64,
    layers: int = 2,
    **general: Any,
) -> Path:
    """A file with layers of one `side` x `side` matrix in f16; `settings` are the
    architecture's, a list for one per layer, `general` those of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in (LLAMA if settings is None else settings).items():
        _add(writer, f"{architecture}.{name}", value)
    for name, value in ({"file_type": 15} | general).items():
        _add(writer, f"general.{name}", value)
    writer.add_token_list([f"token{number}" for number in range(tokens)])
    if template:
        writer.add_chat_template("{{ messages }}")
    for layer in range(layers):
        writer.add_tensor(f"blk.{layer}.attn_q.weight", np.zeros((side, side), dtype=np.float16))
    writer.add_tensor("token_embd.weight", np.zeros((10, side), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_bytes(*, side: int) -> bytes:
    """The bytes of such a file."""
    with TemporaryDirectory() as folder:
        return write_gguf(Path(folder) / "m.gguf", side=side).read_bytes()


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    elif value < 0:
        writer.add_int32(key, value)
    else:
        writer.add_uint64(key, value)
