"""A small model hub on this machine, which answers as the real one does: for tests of fetching."""

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from tests.gguf_writing import gguf_bytes

COMMITS = {"main": "a" * 40, "old": "b" * 40}
TOKENS = {"hf_member", "hf_stranger"}


def safetensors(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A weight file of zeros in bf16, in the documented format."""
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


CONFIG = {
    "architectures": ["Qwen3_5ForCausalLM"],
    "model_type": "qwen3_5_text",
    "max_position_embeddings": 4096,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_size": 64,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
WEIGHTS = {"model.embed_tokens.weight": (500, 64), "model.layers.0.mlp.up_proj.weight": (4000, 64)}

TINY: dict[str, bytes] = {
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": b'{"version": "1.0"}',
    "model.safetensors": safetensors(WEIGHTS),
    "README.md": b"not needed",
    "onnx/model.onnx": b"not needed",
    "pytorch_model.bin": b"not needed, there are safetensors",
}
REPOSITORIES: dict[str, dict[str, bytes]] = {
    "owner/tiny": TINY,
    "owner/pictures": TINY | {"config.json": b'{"architectures": ["ViTForImageClassification"]}'},
    "owner/quantized": {"model-Q8_0.gguf": b"GGUF", "README.md": b"a quantized model"},
    "owner/tiny-GGUF": {
        "tiny-Q2_K.gguf": gguf_bytes(side=32),
        "tiny-Q8_0.gguf": gguf_bytes(side=256),
        "BF16/tiny-BF16-00001-of-00002.gguf": gguf_bytes(side=288),
        "BF16/tiny-BF16-00002-of-00002.gguf": gguf_bytes(side=64),
        "mmproj-F16.gguf": b"GGUF",
        "config.json": b"{}",
    },
    "owner/both": TINY | {"both-Q4_K_M.gguf": gguf_bytes(side=32)},
    "owner/adapter": {
        "adapter_config.json": b'{"base_model_name_or_path": "owner/tiny"}',
        "adapter_model.safetensors": safetensors({"lora_A": (8, 64)}),
    },
    "owner/large": TINY | {"model.safetensors": safetensors({"model.layers.0.w": (6000, 2048)})},
    "owner/secret": TINY,
    "rishanthrajendhran/POLARIS-9B": TINY,
}
GATED = ("owner/secret", "rishanthrajendhran/POLARIS-9B")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cut: ClassVar[set[str]] = set()  # files whose next download breaks in the middle
    stalled: ClassVar[dict[str, threading.Event]] = {}  # set when the file stops in the middle
    whole_only: ClassVar[set[str]] = set()  # files for which a Range is ignored
    busy: ClassVar[set[str]] = set()  # files whose next download is refused with 503
    paged: ClassVar[set[str]] = set()  # files whose next rest is a page of HTML
    seen: ClassVar[list[tuple[str, str, str]]] = []  # method, path, Range

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Range", "")))
        path = self.path.partition("?")[0]
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        bare = re.fullmatch(r"/api/models/([^/]+/[^/]+)", path)
        if api:
            self._listing(api[1], api[2], api[3])
        elif bare:
            self._listing(bare[1], "revision", "main")
        elif file:
            self._file(file[1], file[2], file[3], with_body)
        else:
            self._refuse(404, "EntryNotFound")

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _known(self, repository: str, revision: str) -> str | None:
        """The commit, or None after the refusal that the real hub would give."""
        if self._token() and self._token() not in TOKENS:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repository == "owner/broken":
            self._refuse(500, "", "Internal trouble")
        elif repository not in REPOSITORIES:
            self._refuse(404 if self._token() else 401, "RepoNotFound")
        elif revision not in (*COMMITS, *COMMITS.values()):
            self._refuse(404, "RevisionNotFound")
        else:
            return COMMITS.get(revision, revision)
        return None

    def _listing(self, repository: str, kind: str, revision: str) -> None:
        commit = self._known(repository, revision)
        if commit is None:
            return
        files = REPOSITORIES[repository].items()
        answer: Any = [
            {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
            for name, data in files
        ]
        if kind == "revision":
            names = [{"rfilename": name, "size": len(data)} for name, data in files]
            answer = {"id": repository, "sha": commit, "siblings": names}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, repository: str, revision: str, name: str, with_body: bool) -> None:
        commit = self._known(repository, revision)
        if commit is None:
            return
        if repository in GATED and self._token() != "hf_member":
            self._refuse(403 if self._token() else 401, "GatedRepo", f"{repository} is restricted")
            return
        data = REPOSITORIES[repository].get(name)
        if data is None:
            self._refuse(404, "EntryNotFound")
            return
        self._send(name, data, commit, with_body)

    def _send(self, name: str, data: bytes, commit: str, with_body: bool) -> None:
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if name in self.whole_only:
            asked = None
        if asked and name in self.paged:
            self.paged.discard(name)
            data, asked = b"<title>Log in to this network</title>", None
        start = int(asked[1]) if asked else 0
        if start and start >= len(data):
            self._refuse(416, "")
            return
        if with_body and name in self.busy:
            self.busy.discard(name)
            self._refuse(503, "")
            return
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if not with_body:
            return
        self.wfile.write(data[start : start + len(data) // 2])
        self.wfile.flush()
        if name in self.cut:
            self.cut.discard(name)
            self.close_connection = True
        elif name in self.stalled:
            self.stalled.pop(name).set()
            threading.Event().wait()
        else:
            self.wfile.write(data[start + len(data) // 2 :])


def _etag(data: bytes) -> str:
    """Weights are stored by their SHA-256, small files by a shorter checksum."""
    large = len(data) > 100_000
    return hashlib.sha256(data).hexdigest() if large else hashlib.sha1(data).hexdigest()


class FakeHub:
    """A running hub: its address, what was asked of it, and files to break off."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.seen, self.cut, self.stalled = _Handler.seen, _Handler.cut, _Handler.stalled
        self.whole_only, self.paged = _Handler.whole_only, _Handler.paged
        self.busy = _Handler.busy


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Run the hub until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    _Handler.seen.clear()
    _Handler.cut.clear()
    _Handler.stalled.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield FakeHub(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def environment(home: Path, address: str, token: str = "", **more: str) -> dict[str, str]:
    """The variables that make a process use that hub and a cache of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "POLARIS_"))}
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "POLARIS_LIBRARY": str(home / "l.db")}
    return kept | settings | ({"HF_TOKEN": token} if token else {}) | more


def polaris(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the polaris command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "polaris_cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
