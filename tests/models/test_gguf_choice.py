"""Which GGUF file is meant or fits, by names and sizes alone."""

import pytest

from polaris_cli.errors import OutOfMemory, UsageError
from polaris_cli.models.devices import Device
from polaris_cli.models.gguf_choice import (
    OVERHEAD,
    GgufFile,
    choices,
    largest_fitting,
    named,
    part_names,
)

GB = 10**9
SIZES = {
    "README.md": 1,
    "Qwen3.5-9B-Q4_K_M.gguf": 5 * GB,
    "Qwen3.5-9B-UD-Q2_K_XL.gguf": 3 * GB,
    "Qwen3.5-9B-Q8_0.gguf": 9 * GB,
    "Qwen3.5-9B-IQ4_NL.gguf": 4 * GB,
    "BF16/Qwen3.5-9B-BF16-00001-of-00002.gguf": 9 * GB,
    "BF16/Qwen3.5-9B-BF16-00002-of-00002.gguf": 8 * GB,
    "F32/Qwen3.5-9B-F32-00001-of-00002.gguf": 20 * GB,
    "mmproj-F16.gguf": GB,
    "Qwen3.5-9B.imatrix.gguf": GB,
}
FILES = choices(SIZES)
STORY = 131_072_000  # bytes of its cache


def machine(free: int) -> Device:
    return Device("cpu", 0, "processor", free, free)


def test_the_files_of_a_repository() -> None:
    told = [(file.quantization, file.size // GB) for file in FILES]
    expected = [("UD-Q2_K_XL", 3), ("IQ4_NL", 4), ("Q4_K_M", 5), ("Q8_0", 9), ("BF16", 17)]
    assert told == expected
    assert FILES[-1].name == "BF16/Qwen3.5-9B-BF16-00001-of-00002.gguf"
    assert str(FILES[2]) == "Q4_K_M (5.0 GB)"


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("model-q5_k_s.gguf", "Q5_K_S"),
        ("Qwen3.gguf", "Qwen3"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("a-F16-b-IQ2_XXS-00001-of-00003.gguf", "IQ2_XXS"),
        ("f16.gguf", "F16"),
    ],
)
def test_the_quantization_in_a_name(name: str, quantization: str) -> None:
    assert GgufFile(name, 1).quantization == quantization


@pytest.mark.parametrize(
    "wanted",
    ["q4_k_m", "Q4_K_M", "Qwen3.5-9B-Q4_K_M.gguf", " qwen3.5-9b-q4_k_m.GGUF "],
)
def test_a_file_by_name_or_quantization(wanted: str) -> None:
    assert named(FILES, wanted, "m").name == "Qwen3.5-9B-Q4_K_M.gguf"


@pytest.mark.parametrize("number", [1, 2])
def test_a_split_file_by_any_of_its_parts(number: int) -> None:
    part = f"Qwen3.5-9B-BF16-0000{number}-of-00002.gguf"
    assert named(FILES, part, "m") == named(FILES, f"BF16/{part}", "m") == FILES[-1]
    assert part_names(part)[number - 1] == part and len(part_names(part)) == 2


def test_a_name_that_no_file_has() -> None:
    with pytest.raises(UsageError, match="m has no GGUF file 'Q4_K_S'") as caught:
        named(FILES, "Q4_K_S", "m")
    assert caught.value.hint.startswith("Did you mean Q4_K_M? It has: UD-Q2_K_XL, IQ4_NL, Q4_K_M")
    with pytest.raises(UsageError) as caught:
        named(FILES, "xyz", "m")
    assert caught.value.hint.startswith("It has: UD-Q2_K_XL")


def test_a_quantization_of_two_models() -> None:
    files = choices({"a-Q8_0.gguf": 1, "b-Q8_0.gguf": 2})
    with pytest.raises(UsageError, match="m has 2 files of Q8_0") as caught:
        named(files, "Q8_0", "m")
    assert "--gguf-file a-Q8_0.gguf" in caught.value.hint


@pytest.mark.parametrize(
    ("free", "quantization"), [(30 * GB, "BF16"), (10 * GB, "Q8_0"), (8 * GB, "Q4_K_M")]
)
def test_the_largest_file_that_fits(free: int, quantization: str) -> None:
    assert largest_fitting(FILES, 4 * STORY, machine(free), "m").quantization == quantization


def test_the_cache_of_a_long_story_counts() -> None:
    room = machine(9 * GB + OVERHEAD + STORY)
    assert largest_fitting(FILES, STORY, room, "m").quantization == "Q8_0"
    assert largest_fitting(FILES, STORY + 1, room, "m").quantization == "Q4_K_M"


@pytest.mark.parametrize(("card", "quantization"), [(8, "Q4_K_M"), (2, "Q8_0")])
def test_a_file_that_fits_the_gpu_comes_before_one_that_needs_the_cpu(
    card: int, quantization: str
) -> None:
    device = Device("cuda", 0, "card", card * GB, card * GB, spare_bytes=10 * GB)
    assert largest_fitting(FILES, 4 * STORY, device, "m").quantization == quantization


def test_no_file_fits() -> None:
    with pytest.raises(OutOfMemory, match=r"UD-Q2_K_XL \(3\.0 GB\), needs about 3\.4 GB") as caught:
        largest_fitting(FILES, STORY, machine(3 * GB), "m")
    assert "--gguf-file UD-Q2_K_XL" in caught.value.hint
