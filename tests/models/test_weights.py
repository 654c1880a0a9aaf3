"""Weight files: which are loaded, which are missing, and impossible headers."""

import json
import struct
import zipfile
from pathlib import Path

import pytest

from polaris_cli.models.weights import (
    Unreadable,
    missing_file_in,
    tensor_count,
    tensor_shapes,
    weight_files,
)
from tests.fake_hub import safetensors

SHAPES = {"a": (3, 4), "b": (5,)}


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("x")
    return folder


def put_index(folder: Path, name: str, *parts: str) -> None:
    text = json.dumps({"weight_map": {str(n): part for n, part in enumerate(parts)}})
    (folder / f"{name}.index.json").write_text(text)


def with_header(folder: Path, header: object, data: bytes = bytes(8)) -> Path:
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_a_single_file_comes_before_an_index_and_an_older_format(tmp_path: Path) -> None:
    put(tmp_path, "pytorch_model.bin", "adapter_model.safetensors", "consolidated.safetensors")
    assert weight_files(tmp_path) == [tmp_path / "pytorch_model.bin"]
    put_index(tmp_path, "model.safetensors", "part-2.safetensors", "part-1.safetensors")
    assert [path.name for path in weight_files(tmp_path)] == [
        "part-1.safetensors",
        "part-2.safetensors",
    ]
    put(tmp_path, "model.safetensors")
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert missing_file_in(tmp_path) == "config.json is missing"
    put(tmp_path, "config.json")
    assert missing_file_in(tmp_path) == "the tokenizer is missing: tokenizer.json"
    put(tmp_path, "tokenizer.json")
    assert missing_file_in(tmp_path) == "the weights are missing: model.safetensors"
    put_index(tmp_path, "model.safetensors", *(f"m-{n}-of-3.safetensors" for n in (1, 2, 3)))
    assert missing_file_in(tmp_path) == "m-1-of-3.safetensors and 2 more are missing"
    put(tmp_path, "m-1-of-3.safetensors", "m-3-of-3.safetensors")
    assert missing_file_in(tmp_path) == "m-2-of-3.safetensors is missing"
    put(tmp_path, "m-2-of-3.safetensors")
    assert missing_file_in(tmp_path) == ""


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_an_index_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    put(tmp_path, "config.json", "tokenizer.json")
    (tmp_path / "pytorch_model.bin.index.json").write_text(text)
    assert missing_file_in(tmp_path) == "pytorch_model.bin.index.json cannot be read"


def test_shards_without_their_index(tmp_path: Path) -> None:
    put(tmp_path, "config.json", "spiece.model", "model-00001-of-00002.safetensors")
    assert missing_file_in(tmp_path) == "model.safetensors.index.json is missing"


def test_shapes_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(SHAPES))
    assert dict(tensor_shapes(path)) == SHAPES
    assert tensor_count([path, path]) == 4


def test_tensors_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "abc":
            archive.writestr(f"data/{name}", b"12")
    assert tensor_count([path]) == 3
    path.write_bytes(b"\x80" + bytes(7000))
    assert tensor_count([path]) == 7
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(Unreadable, match="cannot be read"):
        tensor_count([path])


@pytest.mark.parametrize(("place", "wrong"), [(0, 0), (6, 255), (46, 255)])
def test_an_archive_with_a_damaged_list_is_unreadable(
    tmp_path: Path, place: int, wrong: int
) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é", b"12")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + place] = wrong
    path.write_bytes(data)
    with pytest.raises(Unreadable, match=r"pytorch_model\.bin cannot be read"):
        tensor_count([path])


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "BF16", "shape": [10**18], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        {"dtype": [], "shape": [2], "data_offsets": [0, 8]},
        {"shape": [2]},
        [],
        None,
    ],
)
def test_impossible_headers(tmp_path: Path, tensor: object) -> None:
    path = with_header(tmp_path, {"a": tensor})
    with pytest.raises(Unreadable, match=r"model\.safetensors cannot be read"):
        list(tensor_shapes(path))


def test_unknown_dtypes_are_not_checked(tmp_path: Path) -> None:
    tensor = {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]}
    assert dict(tensor_shapes(with_header(tmp_path, {"a": tensor}))) == {"a": (16,)}
