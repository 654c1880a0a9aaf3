"""Premises are read the same from every format, and a bad row costs only itself."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from polaris_cli.batch.premises import BadRow, Row, read_premises
from polaris_cli.errors import ModelUnavailable, PolarisError, UsageError
from polaris_cli.request.settings import SETTINGS, build_request, from_options, merge
from polaris_cli.story.prepare import prepare

FOX = '{"premise": "a fox"}'
ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def read(folder: Path, content: str | bytes, name: str = "p.jsonl") -> list[Row | BadRow]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_premises(str(path)))


def good(rows: Iterable[Row | BadRow]) -> list[Row]:
    found = list(rows)
    assert not [row.error.message for row in found if isinstance(row, BadRow)]
    return [row for row in found if isinstance(row, Row)]


def premises(rows: Iterable[Row | BadRow]) -> list[str]:
    return [row.premise for row in good(rows)]


def refusal(folder: Path, content: str | bytes, name: str = "p.jsonl") -> UsageError:
    with pytest.raises(UsageError) as refused:
        read(folder, content, name)
    assert refused.value.hint
    return refused.value


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_row_has_its_place_id_and_settings(tmp_path: Path) -> None:
    record = {"id": 7, "premise": "a fox", "words": 800, "top-p": 0.9, "think": True, "other": [1]}
    (row,) = good(read(tmp_path, f"\n{json.dumps(record)}\n"))
    assert row == Row(
        number=1,
        where=f"{tmp_path / 'p.jsonl'}, line 2",
        id="7",
        premise="a fox",
        settings={"words": 800, "top_p": 0.9, "think": True},
    )


@pytest.mark.parametrize(
    ("record", "id_", "premise", "chosen"),
    [
        ({"prompt": "a fox", "uid": "u1", "target_word_count": 900}, "u1", "a fox", {"words": 900}),
        ({"prompt": "a crow", "premise": "a fox"}, "", "a fox", {}),
        ({"premise": None, "prompt": "a fox", "seed": None, "temprature": None}, "", "a fox", {}),
        ({"target_word_count": 5, "words": 9, "premise": "a fox"}, "", "a fox", {"words": 9}),
        ({"prompt": "a fox", "length": 500}, "", "a fox", {"words": 500}),
        ({"prompt": "a fox", "Length": "500", "words": 9}, "", "a fox", {"words": 9}),
        ({"prompt": "a fox", "length": "extend"}, "", "a fox", {"length": "extend"}),
        ({"Premise": "a fox", " Top_K ": 5, "world": 1, "format": 2}, "", "a fox", {"top_k": 5}),
        ({"premise": "a fox", "title": "Fog", "author": 7, "language": "English"}, "", "a fox", {}),
        ({"premise": " a\nfox ", "id": 3.0, "seed": 7.0}, "3", " a\nfox ", {"seed": 7}),
    ],
)
def test_names_and_their_aliases(
    tmp_path: Path, record: object, id_: str, premise: str, chosen: dict[str, object]
) -> None:
    (row,) = good(read(tmp_path, json.dumps(record)))
    assert (row.id, row.premise, row.settings) == (id_, premise, chosen)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('{"premise": "a fox", "temprature": 1}', "no setting 'temprature'", "temperature?"),
        ('{"premise": "a fox", "top-kk": 1}', "no setting 'top-kk'", "Did you mean top_k?"),
        ('{"premise": "a fox", "seed": 1, "Seed": 2}', "'seed' and 'Seed', which mean", "Leave"),
        ('{"words": 5}', "has no premise", "premise"),
        ('{"premise": " "}', "has no premise", "premise"),
        ('{"premise": "", "prompt": "a fox"}', "has no premise", "premise"),
        ('{"premise": ["a fox"]}', "a premise that is not a text", "quotes"),
        ('{"premise": "a fox", "id": [1]}', "an id that is neither", "another id"),
        ('{"premise": "a fox", "id": true}', "an id that is neither", "another id"),
        ('{"premise": "a fox"', "is not valid JSON: Expecting ',' delimiter at character 20", "{"),
        ('{"premise": "a fox", "seed": NaN}', "NaN is not a number", "{"),
        ('{"premise": "a fo', "Unterminated string starting at character 13", "{"),
        ('{"premise": "a fox", "seed": ' + "9" * 5000 + "}", "is not valid JSON", "{"),
        ("[" * 100_000, "nested too deeply", "{"),
        ('"a fox"', "is not a JSON object", "{"),
        (b'{"premise": "a f\xe9"}', "is not UTF-8 text", "iconv"),
        (b'{"premise": "a fox", "x": ["\xff"]}', "is not UTF-8 text", "iconv"),
        ('{"premise": "\\ud800"}', "half of a character", "both halves"),
    ],
)
def test_a_bad_line_is_named_and_costs_no_other(
    tmp_path: Path, line: str | bytes, message: str, hint: str
) -> None:
    data = line if isinstance(line, bytes) else line.encode()
    first, bad, last = read(tmp_path, b"\xef\xbb\xbf" + FOX.encode() + b"\r\n\n" + data + b"\n{}")
    assert isinstance(first, Row)
    assert isinstance(bad, BadRow)
    assert (bad.number, last.number) == (2, 3)
    assert bad.where.endswith("p.jsonl, line 3")
    assert bad.error.message.startswith(bad.where)
    assert message in bad.error.message
    assert hint in bad.error.hint


def test_an_id_is_used_once(tmp_path: Path) -> None:
    ids = ["x", "", "", 1, "x", "1"]
    lines = [json.dumps({"premise": "a fox", "id": id_}) for id_ in ids]
    rows = read(tmp_path, "\n".join(lines))
    bad = [row.error.message for row in rows if isinstance(row, BadRow)]
    assert len(bad) == 2
    assert bad[0].endswith("line 5 has the id 'x' of line 1 again.")
    assert bad[1].endswith("line 6 has the id '1' of line 4 again.")


def test_a_list_of_objects(tmp_path: Path) -> None:
    first, second = read(tmp_path, f'[{FOX}, "a crow"]', "p.JSON")
    assert isinstance(first, Row)
    assert first.where.endswith("item 1")
    assert isinstance(second, BadRow)
    assert "item 2 is not a JSON object" in second.error.message


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('premise,words\n"a ""red""\nfox",800\n\na crow,\n', [('a "red"\nfox', 2), ("a crow", 5)]),
        ("\ufeffPremise\r\na fox\r\na crow", [("a fox", 2), ("a crow", 3)]),
        ("words,prompt\n5,a fox\n", [("a fox", 2)]),
        ('\ufeff\nPremise;words\r\na fox, a hen;9\r\n"a; b";9', [("a fox, a hen", 3), ("a; b", 4)]),
        ('"premise","a;b"\na fox;,9\n', [("a fox;", 2)]),
    ],
)
def test_a_table_has_the_line_where_a_row_starts(
    tmp_path: Path, content: str, rows: list[tuple[str, int]]
) -> None:
    found = good(read(tmp_path, content, "p.csv"))
    assert [(row.premise, int(row.where.rpartition(" ")[2])) for row in found] == rows


def test_a_table_of_a_spreadsheet_has_decimal_commas(tmp_path: Path) -> None:
    (row,) = good(read(tmp_path, "premise;temperature;words\na fox;0,7;1,500\n", "p.csv"))
    assert from_options(row.settings) == {"temperature": 0.7, "words": 1500}


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("premise,Premise", "'premise' and 'Premise'"),
        ("premise,words,words", "'words' and 'words'"),
    ],
)
def test_a_table_has_a_column_once(tmp_path: Path, header: str, told: str) -> None:
    refused = refusal(tmp_path, f"{header}\na fox,8,9\n", "p.csv")
    assert f"p.csv has {told}, which mean the same" in refused.message


def test_columns_that_do_not_count_may_have_one_name(tmp_path: Path) -> None:
    assert len(good(read(tmp_path, "premise,note,note,,\na fox,1,2,,\n", "p.csv"))) == 1
    assert len(good(read(tmp_path, '{"premise": "a fox", "seed": 1, "Seed": null}'))) == 1


def test_a_blank_row_of_a_table_is_no_row(tmp_path: Path) -> None:
    rows = good(read(tmp_path, "premise,words\n\n ,\na fox,90\n,\n", "p.csv"))
    assert [row.where.split(", ")[1] for row in rows] == ["line 4"]


def test_a_cell_may_be_longer_than_the_usual_limit_of_python(tmp_path: Path) -> None:
    story = "a fox ran\n" * 20_000
    rows = read(tmp_path, f'premise,words\n"{story}",5\na crow,\n', "p.csv")
    assert premises(rows) == [story, "a crow"]


def test_a_whole_number_may_have_a_zero_behind_its_point(tmp_path: Path) -> None:
    header, row = "premise,seed,top_k,temperature,revision,words", "a fox, 42.0 ,20.0,1.0,2.0,800.0"
    (found,) = good(read(tmp_path, f"{header}\n{row}\n", "p.csv"))
    settings = from_options(found.settings)
    assert (settings["seed"], settings["top_k"], settings["words"]) == (42, 20, 800)
    assert (settings["temperature"], settings["revision"]) == (1.0, "2.0")
    (found,) = good(read(tmp_path, "premise,seed\na fox,42.5\n", "p.csv"))
    assert found.settings == {"seed": "42.5"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"a fox,5,6", "has 3 fields, but there are 2 columns"),
        (b'"a fox,5', "is not valid CSV: unexpected end of data"),
        (b",5", "has no premise"),
        (b"a f\xe9,5", "is not UTF-8 text"),
    ],
)
def test_a_bad_row_of_a_table_is_named(tmp_path: Path, row: bytes, message: str) -> None:
    first, bad = read(tmp_path, b"premise,words\na crow,9\n" + row, "p.csv")
    assert isinstance(first, Row)
    assert isinstance(bad, BadRow)
    assert f"p.csv, line 3 {message}" in bad.error.message
    assert bad.error.hint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a fox\n# a crow\n a cat \n", ["a fox", "# a crow", "a cat"]),
        ("\n\na fox\na crow\n\n \n", ["a fox", "a crow"]),
        ("a fox\nwho waits\n \n\na crow", ["a fox who waits", "a crow"]),
        ("\ufeffa fox\r\n\r\na crow\r\nsings\r\n", ["a fox", "a crow sings"]),
    ],
)
@pytest.mark.parametrize("name", ["p.txt", "premises", "-"])
def test_text_has_a_premise_a_line_or_a_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, expected: list[str]
) -> None:
    give_stdin(monkeypatch, content.encode())
    rows = read_premises("-") if name == "-" else read(tmp_path, content, name)
    assert premises(rows) == expected


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a fox\na hen\n\na cat\na crow\n", "4 lines are read as 2 premises"),
        ("a fox\n\na cat\n", ""),
        ("a fox\na cat\n", ""),
        ("\na fox\na cat\n\n", ""),
    ],
)
@pytest.mark.parametrize("name", ["p.txt", "-"])
def test_lines_that_become_one_premise_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, told: str
) -> None:
    give_stdin(monkeypatch, content.encode())
    (tmp_path / "p.txt").write_text(content)
    notes = list[str]()
    source = name if name == "-" else str(tmp_path / name)
    assert premises(read_premises(source, notes.append))
    assert len(notes) == bool(told) and all(told in note for note in notes)


def test_a_premise_of_text_is_placed_at_its_first_line(tmp_path: Path) -> None:
    rows = good(read(tmp_path, "\na fox\nwho waits\n\n\na crow", "p.txt"))
    assert [row.where.rpartition(" ")[2] for row in rows] == ["2", "6"]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (f'\n [{FOX},\n  {{"prompt": "a crow", "words": 5}}]\n', "json"),
        ('[\n{"premise": "a fox"}, "a crow"]', "json"),
        ("[]", "json"),
        ('[{"premise": "a fox"}', "json"),
        ("premise,words\na fox,5\n", "csv"),
        ("premise;words\na fox, a hen;5\n", "csv"),
        ('Words, Prompt \r\n5,"a ""red"" fox,\na crow"\r\n\r\n6,a cat\r\n', "csv"),
        ('"premise","words"\n"a fox",5\n', "csv"),
        ("id\tprompt\n7\ta fox, a crow\n", "tsv"),
        ('prompt\n"a fox, a crow"\n', "csv"),
        ("prompt,words\n", "csv"),
        ('premise,words\n"a fox,5\n', "csv"),
    ],
)
def test_standard_input_may_be_a_list_or_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, suffix: str
) -> None:
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(content.encode())

    def found(source: str, name: str) -> list[tuple[str, object]]:
        try:
            rows = list(read_premises(source))
        except UsageError as error:
            return [(error.message.replace(name, ""), error.hint)]
        return [
            (row.where.replace(name, ""), (row.key, row.premise, row.settings))
            if isinstance(row, Row)
            else (row.where.replace(name, ""), row.error.message.replace(name, ""))
            for row in rows
        ]

    give_stdin(monkeypatch, content.encode())
    assert found("-", "standard input") == found(str(path), str(path)) != []


@pytest.mark.parametrize(
    "text", ["[Noir] a fox\na crow", "Premise, a fox\na crow", "a prompt\na fox", "a,b\nc,d"]
)
def test_text_on_standard_input_stays_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    give_stdin(monkeypatch, text.encode())
    assert premises(read_premises("-")) == text.split("\n")


def test_standard_input_may_be_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, f"\ufeff \n{FOX}\nno\n".encode())
    first, second = read_premises("-")
    assert isinstance(first, Row)
    assert first.where == "standard input, line 2"
    assert isinstance(second, BadRow)
    assert second.where == "standard input, line 3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", "", "has no premises"),
        ("p.txt", " \n\n", "has no premises"),
        ("p.csv", "", "has no premises"),
        ("p.csv", "premise,words\n", "has no premises"),
        ("p.json", "[]", "has no premises"),
        ("p.json", '{"rows": []}', "is not a list of premises"),
        ("p.json", "[NaN]", "is not valid JSON: NaN"),
        ("p.csv", "text;words\na fox;5\n", "has no column 'premise'"),
        ("p.tsv", "premise,words\na fox,5\n", "has no column 'premise'"),
        ("p.csv", '"premise\na fox\n', "is not valid CSV"),
        ("p.txt", b"a fox\na crow\nan \xe9", "is not UTF-8 text"),
        ("p.txt", "a fox".encode("utf-16"), "is not UTF-8 text"),
        ("p.docx", b"PK\3\4\0\0", "is not UTF-8 text"),
    ],
)
def test_an_input_without_premises_is_refused_at_once(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=message) as refused:
        read_premises(str(path))
    assert str(path) in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("name", ["p.txt", "p.csv", "p.json", "p.jsonl"])
def test_a_file_in_utf16_is_recognised(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(f"[{FOX}]" if name == "p.json" else f"premise\n{FOX}\n", "utf-16")
    with pytest.raises(UsageError) as refused:
        read_premises(str(path))
    assert "iconv -f UTF-16 " in refused.value.hint


@pytest.mark.parametrize("data", [b"", b"a f\xe9", b"a\0"])
def test_bad_standard_input_is_named(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    give_stdin(monkeypatch, data)
    with pytest.raises(UsageError, match="standard input"):
        read_premises("-")


def test_what_is_not_a_readable_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jsonl")
    for path, message in [
        (tmp_path / "none.jsonl", "No such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "fifo.jsonl", "is not a regular file"),
        (Path("/dev/null"), "is not a regular file"),
        (tmp_path / "a\0b", "Cannot read"),
    ]:
        with pytest.raises(UsageError, match=message) as refused:
            read_premises(str(path))
        assert str(path) in refused.value.message
        assert refused.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or not os.geteuid(), reason="root reads all files")
@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.csv", "p.txt"])
def test_a_file_without_permission_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch(mode=0)
    with pytest.raises(UsageError, match="Permission denied"):
        read_premises(str(path))


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(f"{FOX}\n" * 100_000)
    rows = read_premises(str(path))
    next(rows)
    with path.open("r+") as file:
        file.truncate(len(FOX) + 1)
    assert len(list(rows)) < 50_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"premise": "a fox", "words": 800.0, "think": false, "seed": 3,'
                    ' "model": "demo", "temperature": 1, "band": [0.8, 1.2], "chapters": null}'),
        ("p.csv", "premise,words,think,seed,model,temperature,band,chapters\n"
                  "a fox,800,false,3,demo,1.0,0.8-1.2,\n"),
    ],
)  # fmt: skip
def test_settings_are_options_of_a_story(tmp_path: Path, name: str, content: str) -> None:
    (row,) = good(read(tmp_path, content, name))
    request = prepare(row.premise, row.settings).request
    assert (request.premise, request.words, request.model) == ("a fox", 800, "demo")
    assert (request.sampling.seed, request.sampling.temperature) == (3, 1.0)
    assert (request.band, request.sampling.thinks) == ((0.8, 1.2), False)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
RECORDS = st.lists(st.tuples(TEXTS.filter(str.strip), st.integers(1, 9999)), min_size=1, max_size=5)


@ANY_FILE
@given(RECORDS)
@example([('a "red", fox\r\n\tor\rnone\u2028', 5), ("\ufeff{a}", 6)])
def test_every_format_is_read_back_the_same(tmp_path: Path, records: list[tuple[str, int]]) -> None:
    dicts = [{"premise": premise, "words": words} for premise, words in records]
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in dicts)
    written = {"p.jsonl": lines, "p.json": json.dumps(dicts)}
    for name, delimiter in [("p.csv", ","), ("p.tsv", "\t")]:
        file = io.StringIO()
        csv.writer(file, delimiter=delimiter).writerows([("premise", "words"), *records])
        written[name] = file.getvalue()
    for name, content in written.items():
        rows = good(read(tmp_path, content, name))
        assert [(row.premise, int(str(row.settings["words"]))) for row in rows] == records


LINES = st.lists(st.binary() | st.sampled_from([FOX.encode(), b"{}", b" ", b"\xff"]), max_size=5)


@ANY_FILE
@given(
    LINES.map(b"\n".join), st.sampled_from(["jsonl", "json", "csv", "tsv", "txt"]), st.booleans()
)
def test_any_bytes_are_rows_or_explained(
    tmp_path: Path, data: bytes, suffix: str, titled: bool
) -> None:
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(b"premise\n" + data if titled else data)
    try:
        rows = list(read_premises(str(path)))
    except PolarisError as error:
        assert str(path) in error.message
        return
    assert [row.number for row in rows] == [*range(1, len(rows) + 1)]
    places = [int(row.where.rpartition(" ")[2]) for row in rows]
    assert all(before < after for before, after in pairwise(places))
    if suffix == "jsonl":
        text = path.read_text("utf-8-sig", "surrogateescape")
        assert len(rows) == sum(bool(line.strip()) for line in text.split("\n"))


NUMBERS = st.integers() | st.floats(allow_nan=False) | st.just(10**400)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@ANY_FILE
@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), VALUES))
@example({"band": [None, 1]})
@example({"words": 10**400})
def test_any_value_is_accepted_or_explained(tmp_path: Path, chosen: dict[str, object]) -> None:
    line = json.dumps({"premise": "a fox", **chosen}).replace("Infinity", "1e999")
    (row,) = read(tmp_path, line)
    if isinstance(row, Row):
        try:
            build_request(
                row.premise, merge([("option", {"words": 5} | from_options(row.settings))])
            )
        except PolarisError as error:
            assert error.hint


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pip install 'polaris-story[datasets]'")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.slow
def test_parquet(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {
        "uid": ["a", "b", "a"] + [None] * 300,
        "prompt": ["a fox", None, "a crow"] + ["a cat"] * 300,
        "target_word_count": [800.0, 5.0, None] + [float("nan")] * 300,
        "think": [True, None, None] * 101,
    }
    write_parquet(tmp_path / "p.parquet", columns)
    rows = list(read_premises(str(tmp_path / "p.parquet")))
    first, *bad, _ = rows[:4]
    assert isinstance(first, Row)
    assert (first.where, first.id) == (f"{tmp_path / 'p.parquet'}, row 1", "a")
    assert first.settings == {"words": 800, "think": True}
    assert all(isinstance(row, BadRow) for row in bad)
    assert premises(rows[3:]) == ["a cat"] * 300
    assert all("words" not in row.settings for row in good(rows[3:]))


@pytest.mark.slow
def test_bad_parquet_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "p.parquet", {"text": ["a fox"]})
    with pytest.raises(UsageError, match="has no column 'premise'"):
        read_premises(str(tmp_path / "p.parquet"))
    assert "not a readable Parquet file" in refusal(tmp_path, "PAR1", "p.parquet").message


@pytest.mark.parametrize(
    ("module", "source"), [("pyarrow", "p.parquet"), ("datasets", "hub:owner/name/test")]
)
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.parquet").touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=f"needs {module}") as refused:
        read_premises(source)
    assert "polaris-story[datasets]" in refused.value.hint


@pytest.mark.parametrize("source", ["hub:", "hub:owner/name", "hub:owner/name/", "hub:a/b/c/d"])
def test_a_data_set_is_named_with_its_split(source: str) -> None:
    with pytest.raises(UsageError, match="not a split") as refused:
        read_premises(source)
    assert "hub:rishanthrajendhran/POLARIS/test" in refused.value.hint


NO_HUB = """
from polaris_cli.batch.premises import read_premises
from polaris_cli.errors import ModelUnavailable
try:
    read_premises("hub:owner/name/test")
except ModelUnavailable as error:
    print(error.message, error.hint)
"""


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="pip install 'polaris-story[datasets]'")
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", NO_HUB]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "owner/name cannot be read: the hub cannot be reached. Connect" in done.stdout


@pytest.mark.slow
def test_a_data_set_is_read_by_its_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` takes a folder of this name for the hub's data set."""
    pytest.importorskip("datasets", reason="pip install 'polaris-story[datasets]'")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    record = {"uid": "u1", "prompt": "a fox", "target_word_count": 900}
    (folder / "test.jsonl").write_text(json.dumps(record))
    (row,) = good(read_premises("hub:owner/name/test"))
    assert row == Row(1, "hub:owner/name/test, row 1", "u1", "a fox", {"words": 900})
    with pytest.raises(ModelUnavailable, match=r"owner/name cannot be read: .*train"):
        read_premises("hub:owner/name/train")


def test_an_id_that_is_the_number_of_another_row_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"premise": "a", "id": "2"}\n{"premise": "b"}\n{"premise": "c"}\n')
    first, bad, third = read_premises(str(file))
    assert isinstance(first, Row) and isinstance(third, Row)
    assert isinstance(bad, BadRow) and "has the id '2' of line 1 again" in bad.error.message
