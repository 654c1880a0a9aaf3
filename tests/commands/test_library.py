"""`polaris library`: what each command prints, asks and refuses."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polaris_cli.commands.library import app
from polaris_cli.errors import LibraryError, OutputError, PolarisError, UsageError
from polaris_cli.events import Chunk
from polaris_cli.formats import export
from polaris_cli.library.store import Library
from tests.books import png
from tests.cli import ROOT, environment, polaris_command
from tests.stories import a_story

LIST = "id\twhen\ttitle\tmodel\twords\tasked\tratio\tstate"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    path = tmp_path / "library.db"
    monkeypatch.setenv("POLARIS_LIBRARY", str(path))
    return Library(path)


@pytest.fixture
def two(library: Library) -> Library:
    library.finish(a_story("aaaa0000", "# Fog\n\nThe fog came.", finish="stop"))
    library.finish(a_story("bbbb0000", "Sea é.\n\nMore.", thinking="Plan.", finish="length"))
    return library


def run(*arguments: str, input: str | None = None) -> tuple[str, str]:
    """Standard output and error of a successful command."""
    result = CliRunner().invoke(app, arguments, input=input)
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr


def test_the_list_is_newest_first_and_plain_in_a_pipe(two: Library) -> None:
    out, err = run()
    header, newest, oldest = out.splitlines()
    assert header == LIST
    assert newest.split("\t")[0] == "bbbb0000"
    assert newest.split("\t")[2:] == ["A lighthouse keeper", "demo", "3", "8", "0.38", "cut off"]
    assert oldest.split("\t")[2:] == ["Fog", "demo", "5", "8", "0.62", "ended"]
    assert err == ""
    assert len(run("--limit", "1")[0].splitlines()) == 2


def test_the_list_as_json_has_a_line_for_each_story(two: Library) -> None:
    first, second = map(json.loads, run("--json")[0].splitlines())
    assert (first["id"], first["ratio"], first["state"]) == ("bbbb0000", 0.375, "length")
    assert second["title"] == "Fog"


def test_an_empty_library_hints_at_polaris_write(library: Library) -> None:
    out, err = run()
    assert out == f"{LIST}\n"
    assert "polaris write" in err
    assert run("--json")[0] == ""
    assert not library.path.exists()


def test_a_title_cannot_break_the_list(library: Library) -> None:
    library.finish(a_story(text="# [red]A\tB\x1b[2J\n\nText."))
    [_, line] = run()[0].splitlines()
    assert line.count("\t") == LIST.count("\t")
    assert "[red]A B" in line and "\x1b" not in line


def test_a_title_of_many_lines_is_cut_in_the_list_alone(library: Library) -> None:
    title = "A long title " * 100
    library.finish(a_story(text=f"# {title}\n\nText."))
    [_, line] = run()[0].splitlines()
    assert line.split("\t")[2].endswith("…") and len(line.split("\t")[2]) <= 80
    assert json.loads(run("--json")[0])["title"] == title.strip()


@pytest.mark.parametrize("command", [(), ("--json",), ("search", "e"), ("search", "--json", "e")])
def test_a_list_that_lacks_stories_says_so(two: Library, command: tuple[str, ...]) -> None:
    two.finish(a_story("cccc0000", "One e."))
    two.finish(a_story("dddd0000", "Two e."))
    out, err = run(*command, "--limit", "1")
    assert len(out.splitlines()) == (1 if "--json" in command else 2)
    assert "The list ends here" in err and "--limit 10" in err
    assert run(*command, "--limit", "4")[1] == ""


def test_show_prints_the_story_and_nothing_else(two: Library) -> None:
    assert run("show", "last") == ("Sea é.\n\nMore.\n", "")
    assert run("show", "aa") == ("# Fog\n\nThe fog came.\n", "")


def test_the_list_bears_a_damaged_row(two: Library) -> None:
    with closing(sqlite3.connect(two.path)) as db:
        db.execute("UPDATE story SET created = 'now', requested = 'x', title = x'ff' WHERE n = 1")
        db.commit()
    assert len(run()[0].splitlines()) == 3
    assert len(run("--json")[0].splitlines()) == 2


@pytest.mark.parametrize("record", ["nonsense", "{}", '{"timing": 3}'])
def test_the_text_of_a_record_that_cannot_be_read_is_shown(two: Library, record: str) -> None:
    two.start(a_story("cccc0000"))
    two.append("cccc0000", [Chunk("thinking", "Hm."), Chunk("story", "The moor.")])
    with closing(sqlite3.connect(two.path)) as db:
        db.execute("UPDATE story SET record = ?", [record])
        db.commit()
    told = "polaris: note: The record of story {} cannot be read.\n"
    assert run("show", "aaaa") == ("# Fog\n\nThe fog came.\n", told.format("aaaa0000"))
    assert run("show", "cccc") == ("The moor.\n", told.format("cccc0000"))
    with pytest.raises(LibraryError) as caught:
        run("show", "--json", "aaaa")
    assert caught.value.hint.endswith("polaris library show aaaa0000")


def test_show_prints_the_record_or_the_thinking(two: Library) -> None:
    assert json.loads(run("show", "last", "--json")[0]) == two.get("last").as_dict()
    assert run("show", "last", "--thinking") == ("Plan.\n", "")
    assert run("show", "aaaa", "--thinking") == (
        "",
        "polaris: note: The story has no thinking.\n",
    )
    with pytest.raises(UsageError):
        run("show", "last", "--thinking", "--json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"LC_ALL": "C"}, "Sea é."),
        ({"LANG": "xx_YY"}, "Sea é."),
        ({"PYTHONIOENCODING": "ascii"}, "Sea ?."),
    ],
)
def test_show_prints_utf8_unless_another_encoding_is_asked_for(
    two: Library, variables: dict[str, str], text: str
) -> None:
    shown = subprocess.run(
        polaris_command("library", "show", "last"),
        env={"POLARIS_LIBRARY": str(two.path), **variables},
        capture_output=True,
        cwd=ROOT,
    )
    assert shown.stdout == f"{text}\n\nMore.\n".encode()
    assert (b"printed in ascii" in shown.stderr) == ("?" in text)


def test_an_unknown_id_is_an_error(two: Library) -> None:
    for arguments in (["show", "x"], ["rm", "x", "--yes"], ["export", "x", "-o", "x.md"]):
        with pytest.raises(UsageError, match="has the id 'x'"):
            run(*arguments)


def test_search_lists_what_it_finds(two: Library) -> None:
    out, err = run("search", "fog", "came")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["id", "aaaa0000"]
    assert json.loads(run("search", "--json", "keeper", "sea")[0])["id"] == "bbbb0000"
    out, err = run("search", '"fog OR')
    assert out.splitlines() == [LIST] and "No story" in err


def test_export_writes_a_file_once(two: Library, tmp_path: Path) -> None:
    path = tmp_path / "tale.txt"
    assert run("export", "aaaa", "-o", str(path)) == ("", f"polaris: saved {path} (21 bytes)\n")
    assert path.read_text() == "# Fog\n\nThe fog came.\n"
    with pytest.raises(UsageError, match="exists"):
        run("export", "last", "-o", str(path))
    run("export", "last", "-o", str(path), "--force")
    assert path.read_text("utf-8") == "Sea é.\n\nMore.\n"
    with pytest.raises(UsageError, match="suffix"):
        run("export", "last", "-o", str(tmp_path / "tale.pdf"))
    with pytest.raises(UsageError, match="is a folder"):
        run("export", "last", "-o", str(tmp_path))


def test_a_backup_in_a_folder_gets_a_name_for_a_database(two: Library, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder") as refused:
        run("backup", str(tmp_path))
    assert refused.value.hint == f"Use a file in it: {tmp_path / 'stories.db'}"


def test_an_output_that_is_gone_costs_no_file(
    two: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("polaris_cli.commands.library._print_story", gone)
    path = tmp_path / "tale.txt"
    with pytest.raises(BrokenPipeError):
        run("export", "aaaa", "-o", "-", "-o", str(path))
    assert path.read_text() == "# Fog\n\nThe fog came.\n"


def test_a_format_that_fails_costs_no_other_file(
    two: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(export._RENDERERS, "docx", lambda story: bytes(1 // 0))
    path = tmp_path / "tale.txt"
    with pytest.raises(OutputError, match="Cannot make a docx file: ZeroDivisionError"):
        run("export", "aaaa", "-o", str(path.with_suffix(".docx")), "-o", str(path))
    assert path.read_text() == "# Fog\n\nThe fog came.\n"


def test_export_can_say_more_of_a_story_than_its_record(two: Library, tmp_path: Path) -> None:
    page, image = tmp_path / "tale.html", png(tmp_path)
    said = ("--title", "The Fog", "--author", "Jane", "--language", "en-GB", "--cover", image)
    run("export", "aaaa", "-o", str(page), *said)
    shown = page.read_text()
    assert "<title>The Fog</title>" in shown and 'content="Jane"' in shown
    assert '<html lang="en-GB">' in shown and "data:image/png" in shown
    assert two.get("aaaa").title == "Fog"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--cover", "none.png", "Cannot read"),
        ("--language", "English", "--language: invalid value"),
        ("--author", "a\nb", "--author: invalid value"),
        ("--title", "t" * 501, "--title: invalid value"),
    ],
)
def test_export_refuses_what_no_file_can_say(
    two: Library, tmp_path: Path, option: str, value: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        run("export", "aaaa", "-o", str(tmp_path / "tale.html"), option, value)
    assert not list(tmp_path.glob("*.html"))


def test_rm_asks_only_on_a_terminal(two: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Cannot ask for confirmation") as caught:
        run("rm", "last", input="y\n")
    assert "--yes" in caught.value.hint
    monkeypatch.setattr("polaris_cli.commands.library._on_terminal", lambda: True)
    refused = CliRunner().invoke(app, ["rm", "last"], input="n\n")
    assert refused.exit_code == 1 and "bbbb0000  A lighthouse keeper" in refused.stderr
    assert len(two.entries()) == 2
    run("rm", "last", input="y\n")
    assert [entry.id for entry in two.entries()] == ["aaaa0000"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "code", "told"), [(b"\x03", 130, b"interrupted"), (b"\x04", 1, b"cancelled")]
)
def test_a_question_without_an_answer_removes_nothing(
    two: Library, tmp_path: Path, key: bytes, code: int, told: bytes
) -> None:
    pid, terminal = pty.fork()
    if not pid:
        command = polaris_command("library", "rm", "last")
        os.execvpe(command[0], command, {**environment(tmp_path), "TERM": "dumb"})
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
            if b"permanently?" in part:
                time.sleep(0.1)  # until it reads
                os.write(terminal, key)
    except OSError:
        pass  # the end of the terminal
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert shown.endswith(b"\r\npolaris: " + told + b".\r\n") and len(two.entries()) == 2


def test_rm_removes_all_or_none(two: Library) -> None:
    with pytest.raises(PolarisError):
        run("rm", "--yes", "aaaa", "x")
    assert len(two.entries()) == 2
    run("rm", "--yes", "aaaa", "last", "bbbb")
    assert two.entries() == []


def test_of_a_story_that_is_being_written_there_is_the_text_so_far(
    two: Library, tmp_path: Path
) -> None:
    two.start(a_story("cccc0000"))  # by this process, which lives
    two.append("cccc0000", [Chunk("story", "The moor.")])
    told = "note: Story cccc0000 is being written right now; this is its text so far."
    for arguments in (["show", "last"], ["export", "last", "-o", "-"]):
        out, err = run(*arguments)
        assert out == "The moor.\n" and told in err
    assert run("show", "bbbb")[1] == ""


def test_rm_removes_none_if_one_is_being_written(two: Library) -> None:
    two.start(a_story("cccc0000"))
    with pytest.raises(UsageError, match="cccc0000 is being written") as caught:
        run("rm", "--yes", "aaaa", "last")
    assert "Ctrl-C" in caught.value.hint
    assert len(two.entries()) == 3


def test_the_hint_for_a_library_that_cannot_be_read_has_no_option_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path))
    with pytest.raises(PolarisError, match="Is a directory") as caught:
        run()
    assert caught.value.hint == "Use another file: POLARIS_LIBRARY=FILE"


def test_path_prints_the_path_and_creates_nothing(library: Library) -> None:
    assert run("path") == (f"{library.path}\n", "")
    assert not library.path.exists()


@pytest.mark.parametrize("command", [[], ["show"], ["search"], ["export"], ["rm"], ["path"]])
def test_help_has_an_example(command: list[str]) -> None:
    assert "polaris library" in run(*command, "--help")[0]


def test_the_command_loads_no_model_library() -> None:
    program = (
        "import sys, polaris_cli.commands.library; "
        "assert not {'torch', 'transformers', 'numpy', 'httpx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
