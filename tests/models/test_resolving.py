"""A model's name, whatever it is, means one model or is refused with what to type next."""

from pathlib import Path

import pytest

from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models import resolving
from polaris_cli.models.cache import cached, gguf_path, stored_bytes
from polaris_cli.models.catalogue import BASE, DEMO, POLARIS
from polaris_cli.models.devices import Device
from polaris_cli.models.gguf_choice import OVERHEAD
from polaris_cli.models.hub import ensure
from polaris_cli.models.memory import check_fits, llama_cpp_context
from polaris_cli.models.resolving import choose_file, resolve
from tests.gguf_writing import LLAMA, write_gguf


@pytest.mark.parametrize(("name", "entry"), [("polaris", POLARIS), ("Qwen/Qwen3.5-9B", BASE)])
def test_known_names(name: str, entry: object) -> None:
    reference = resolve(name, "v1")
    assert reference.entry is entry
    assert reference.revision == "v1"
    assert not reference.note


def test_the_demo_needs_no_hub() -> None:
    reference = resolve("demo")
    assert reference.entry is DEMO and reference.folder


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "owner" / "mine"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for name in (str(model), "./owner/mine", "owner/mine"):
        reference = resolve(name)
        assert (reference.name, reference.folder) == ("mine", model)


def test_another_hub_id() -> None:
    reference = resolve("owner/tiny", "main")
    assert (reference.id, reference.entry, reference.folder) == ("owner/tiny", None, None)


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("polarsi", "'polarsi'", "Did you mean polaris?"),
        ("nonsense", "'nonsense'", "polaris models"),
        ("./nowhere", "does not exist", "config.json"),
        ("a/b/c", "does not exist", "config.json"),
        ("./nowhere.gguf", "does not exist", "Give the path of a GGUF file, or see: polaris mod"),
        ("../nowhere", "does not exist", "config.json"),
        ("nowhere.gguf", "nowhere.gguf does not exist", "Give the path of a GGUF file"),
        ("./a/b:c", "does not exist", "config.json"),
        ("https://huggingface.co/a/b-c.d", "No model is called", "Its name here is a/b-c.d"),
        ("http://127.0.0.1:8000/v1", "No model is called", "add --base-url http://127.0.0.1:8000"),
        ("hf.co/a/b/", "No model is called", "Its name here is a/b"),
        ("huggingface.co/a/b/tree/main", "No model is called", "Its name here is a/b"),
        ("a/b:Q4_K_M", "No model is called", "Its name here is a/b, with --gguf-file Q4_K_M"),
        (
            "https://huggingface.co/a/b/resolve/main/x/y-Q8_0.gguf?download=true",
            "No model is called",
            "Its name here is a/b, with --gguf-file y-Q8_0.gguf",
        ),
    ],
)
def test_names_that_mean_nothing(
    name: str, says: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match=says) as caught:
        resolve(name)
    assert hint in caught.value.hint


def test_a_gguf_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        resolve(str(tmp_path))
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    reference = resolve(str(file))
    assert (reference.name, reference.id, reference.gguf) == ("model", str(file), file)
    assert resolve(str(file), gguf_file="model.gguf") == reference
    with pytest.raises(UsageError, match=r"^model is one GGUF file: --gguf-file Q8_0 cannot be"):
        resolve(str(file), gguf_file="Q8_0")


def test_the_file_that_a_model_is_may_be_named_by_its_quantization(tmp_path: Path) -> None:
    file = tmp_path / "model-Q4_1.gguf"
    file.write_bytes(b"GGUF")
    for name in ("q4_1", "MODEL-Q4_1.gguf"):
        assert resolve(str(file), gguf_file=name).gguf == file


def test_a_link_to_a_gguf_file_as_in_the_hubs_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots"
    snapshot.mkdir()
    names = [f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, name in enumerate(("m.gguf", *names)):
        (tmp_path / str(number)).write_bytes(b"GGUF")
        (snapshot / name).symlink_to(tmp_path / str(number))
    reference = resolve(str(snapshot / "m.gguf"))
    assert reference.name == "m" and gguf_path(reference) == snapshot / "m.gguf"
    assert gguf_path(resolve(str(snapshot / names[1]))) == snapshot / names[0]


def test_a_folder_with_one_gguf_file(tmp_path: Path) -> None:
    file = tmp_path / "tiny-Q4_0.gguf"
    file.write_bytes(b"GGUF")
    reference = resolve(str(tmp_path))
    assert (reference.id, reference.gguf, reference.is_gguf) == (str(tmp_path), file, True)
    assert cached(reference) == tmp_path == ensure(reference) and stored_bytes(reference) == 4


@pytest.fixture
def several(tmp_path: Path) -> Path:
    for name, size in (("a-Q2_K.gguf", 10), ("a-Q8_0.gguf", 20)):
        (tmp_path / name).write_bytes(b"0" * size)
    return tmp_path


def test_a_folder_with_several_gguf_files(several: Path) -> None:
    reference = resolve(str(several))
    assert reference.is_gguf and not reference.gguf and not cached(reference)
    chosen = choose_file(reference, 1_000, device="cpu")
    assert chosen.gguf == several / "a-Q8_0.gguf" and chosen.gguf_name == "a-Q8_0.gguf"
    assert chosen.note == "Q8_0 (20 bytes): the largest of 2 files that fits the free memory."
    small = resolve(str(several), gguf_file="q2_k")
    assert small.gguf == several / "a-Q2_K.gguf" and choose_file(small, 1_000) == small
    with pytest.raises(UsageError, match="no GGUF file 'Q4_0'"):
        resolve(str(several), gguf_file="Q4_0")


def test_the_largest_file_has_room_for_the_cache_that_llama_cpp_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {**LLAMA, "attention.key_length": 2**16, "attention.value_length": 2**16}
    for number in (4, 8):
        write_gguf(tmp_path / f"m-Q{number}_0.gguf", wide, side=32 * number)
    needed = (tmp_path / "m-Q8_0.gguf").stat().st_size + OVERHEAD + (1_250 + 1_024) * 2**20
    for free, name in ((needed, "m-Q8_0.gguf"), (needed - 1, "m-Q4_0.gguf")):
        device = Device("cpu", 0, "processor", free, free)
        monkeypatch.setattr(resolving, "device_for", lambda *_, device=device: device)
        chosen = choose_file(resolve(str(tmp_path), engine="gguf"), 1_000)
        assert chosen.gguf_name == name
        check_fits(chosen, llama_cpp_context(1_000, 4096), device)


def test_a_folder_with_weights_for_transformers_and_a_gguf_file(several: Path) -> None:
    (several / "config.json").write_text("{}")
    (several / "model.safetensors").touch()
    assert not resolve(str(several)).is_gguf
    assert not resolve(str(several), engine="local").is_gguf
    assert resolve(str(several), engine="gguf").is_gguf
    assert resolve(str(several), gguf_file="Q8_0").gguf


def test_any_part_of_a_split_file_means_all_of_them(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(b"GGUF")
    reference = resolve(str(parts[1]))
    assert reference.gguf == parts[0] == gguf_path(reference) and stored_bytes(reference) == 8
    parts[1].unlink()
    assert not cached(reference)
    with pytest.raises(ModelUnavailable, match=r"m-00001-of-00002\.gguf or a part of it"):
        ensure(reference)


def test_a_gguf_file_is_known_by_its_first_bytes_too(tmp_path: Path) -> None:
    """As Ollama's files, which are named by a digest."""
    blob = tmp_path / "sha256-1f2e"
    write_gguf(blob, LLAMA)
    assert resolve(str(blob)).gguf == blob


def test_llama_cpp_needs_a_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for model, name in (("no-hri", "no-hri"), (str(tmp_path), tmp_path.name)):
        with pytest.raises(UsageError, match="has no GGUF file, which --engine gguf") as caught:
            resolve(model, engine="gguf")
        command = f"python convert_hf_to_gguf.py FOLDER --outfile {name}.gguf --outtype q8_0"
        assert command in caught.value.hint and "--quantize 4bit" in caught.value.hint
    with pytest.raises(UsageError, match="no-hri has no GGUF files, so --gguf-file Q8_0"):
        resolve("no-hri", gguf_file="Q8_0")


def test_a_single_file_is_not_a_model(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.touch()
    with pytest.raises(ModelUnavailable, match="is neither a GGUF file nor the folder"):
        resolve(str(weights))
