"""A batch's folder keeps every story that was saved, whenever the process is killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.batch.results import Results, failures_in
from polaris_cli.errors import NoStory, OutputError, PolarisError, UsageError
from tests.cli import environment

LIMITED = ["sh", "-c", 'ulimit -f 20; exec "$@"', "sh"]  # stands for a disk without space

RECORD = """
import sys
from pathlib import Path
from polaris_cli.batch.results import Results
from polaris_cli.errors import NoStory

def record(key, number):
    place = {"key": key, "fingerprint": str(number)}
    return {"schema": "polaris.story/1", "batch": place, "text": "word " * 5000}

"""

# Adds the numbers after one to a folder, with a new run for each eight, and prints what is saved.
ADDS_NUMBERS = f"""{RECORD}
number = int(sys.argv[2])
while True:
    with Results(Path(sys.argv[1])) as results:
        for number in range(number + 1, number + 9):
            results.fail("same", str(number), NoStory("It failed."))
            results.add(record(str(number), number))
            results.add(record("same", number))
            print(number, flush=True)
"""

ADDS_ONE_AND_WAITS = f"""{RECORD}
import time
results = Results(Path(sys.argv[1]))
results.add(record("1", 1))
print(1, flush=True)
time.sleep(60)
"""


def record(key: str, fingerprint: str = "f", **more: Any) -> dict[str, Any]:
    place = {"key": key, "fingerprint": fingerprint}
    return {"schema": "polaris.story/1", "batch": place, **more}


def line(key: str, fingerprint: str = "f", **more: Any) -> bytes:
    return json.dumps(record(key, fingerprint, **more)).encode() + b"\n"


def read(path: Path) -> list[dict[str, Any]]:
    """The objects in a file; every line has its line break."""
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    return [json.loads(text.decode()) for text in lines]


def stories(folder: Path) -> dict[str, dict[str, Any]]:
    """The stories by key, each of which has one line."""
    found = read(folder / "stories.jsonl")
    by_key = {story["batch"]["key"]: story for story in found}
    assert len(by_key) == len(found)
    return by_key


def started(program: str, folder: Path, after: int = 0) -> "subprocess.Popen[str]":
    """A process that runs this program; see `ADDS_NUMBERS`."""
    command = [sys.executable, "-c", program, str(folder), str(after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(folder))


def acknowledged(process: "subprocess.Popen[str]", at_least: int) -> int:
    """Wait for this many numbers; the last one."""
    assert process.stdout
    return [int(process.stdout.readline()) for _ in range(at_least)][-1]


def test_stories_and_failures_are_there_in_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with Results(folder) as results:
        results.add(record("a", "1", text="It ended.\n\nÄ \u2028 \ud800"))
        results.fail("b", "rows.csv, line 2", NoStory("It failed.", hint="Try again."))
        assert (results.fingerprint("a"), results.fingerprint("b")) == ("1", None)
    assert read(folder / "stories.jsonl") == [record("a", "1", text="It ended.\n\nÄ \u2028 \ud800")]
    assert "Ä \\u2028 \\ud800".encode() in (folder / "stories.jsonl").read_bytes()
    failure = {"key": "b", "where": "rows.csv, line 2", "error": "It failed.", "hint": "Try again."}
    assert read(folder / "failed.jsonl") == [failure]
    with Results(folder) as results:
        assert results.fingerprint("a") == "1" and results.failed == {"b": failure}
        assert results.damaged == 0


def test_a_story_replaces_the_earlier_one_and_a_failure(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        for key in "abc":
            results.add(record(key, "1"))
        results.fail("a", "", NoStory("It failed."))
        results.add(record("a", "2"))
        assert results.fingerprint("a") == "2" and not results.failed
        assert len(read(tmp_path / "stories.jsonl")) == 4
    assert [*stories(tmp_path)] == ["b", "c", "a"]
    assert not (tmp_path / "failed.jsonl").exists()


def test_a_killed_run_keeps_the_failures_that_no_story_followed(tmp_path: Path) -> None:
    with Results(tmp_path / "first") as results:
        results.add(record("a"))
        for key in "abc":
            results.fail(key, "", NoStory("It failed."))
        results.add(record("b"))
        shutil.copytree(tmp_path / "first", tmp_path / "killed")
    for folder in ("first", "killed"):
        with Results(tmp_path / folder) as results:
            assert results.failed.keys() == {"a", "c"}
        assert [failure["key"] for failure in read(tmp_path / folder / "failed.jsonl")] == [
            "a",
            "c",
        ]


def test_failures_are_counted_without_the_folder_being_locked(tmp_path: Path) -> None:
    assert failures_in(tmp_path) == 0
    with Results(tmp_path) as results:
        for key in "abc":
            results.fail(key, "", NoStory("It failed."))
        results.fail("a", "", NoStory("It failed again."))
        results.add(record("b"))
        with (tmp_path / "failed.jsonl").open("ab") as file:
            file.write(b'\xff\n{"key": 1}\n{"key": "d"')
        assert failures_in(tmp_path) == 2
    assert failures_in(tmp_path) == 2


def placed(key: str, row: str = "1", **more: Any) -> dict[str, Any]:
    """A record with its row, and an id that tells it apart."""
    found = record(key, "f", **{"id": "aa", **more})
    return {**found, "batch": {**found["batch"], "row": int(row), "input_id": ""}}


def test_a_story_gets_another_key_and_keeps_its_text(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        results.add(placed("1", text="A fox."))
        results.add(placed("2", "2", id="bb"))
        results.fail("1, a", "", NoStory("It failed."))
        results.rename("1", {"key": "1, a", "row": 7})
        shutil.copytree(tmp_path, tmp_path / "killed")
        assert (results.fingerprint("1"), results.fingerprint("1, a")) == (None, "f")
        assert (len(results), results.failed, results.keys_of("f")) == (2, {}, ["2", "1, a"])
        assert [each["batch"]["key"] for each in results.records()] == ["2", "1, a"]
    found = stories(tmp_path)
    assert found.keys() == {"2", "1, a"} and found["1, a"]["text"] == "A fox."
    assert found["1, a"]["batch"] == {
        "key": "1, a", "fingerprint": "f", "row": 7, "input_id": ""
    }  # fmt: skip
    assert len(read(tmp_path / "killed" / "stories.jsonl")) == 3
    with Results(tmp_path / "killed") as results:
        assert (results.fingerprint("1"), len(results)) == (None, 2)
    assert stories(tmp_path / "killed") == found


def test_the_keys_of_a_fingerprint_are_known(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        results.add(placed("1"))
        results.add(placed("1, a", id="bb"))
        results.add(record("12", "g"))
    with Results(tmp_path) as results:
        assert results.keys_of("f") == ["1", "1, a"] and results.keys_of("h") == []


@pytest.mark.parametrize(
    ("own_id", "premise", "kept"),
    [("", "A hen.", True), ("", "A fox.", False), ("x", "A hen.", True)],
)
def test_a_story_of_another_row_is_not_replaced(
    tmp_path: Path, own_id: str, premise: str, kept: bool
) -> None:
    moved: list[str] = []
    with Results(tmp_path, moved=lambda _, after: moved.append(after["key"])) as results:
        results.add(placed("1", premise="A fox."))
        new = placed("1", id="bb", premise=premise)
        results.add({**new, "batch": {**new["batch"], "input_id": own_id}})
    assert [*stories(tmp_path)] == [*["1, aa"] * kept, "1"]
    assert moved == ["1, aa"] * kept
    assert stories(tmp_path)["1"]["premise"] == premise


def test_a_story_of_the_same_id_is_replaced(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        for number, premise in ("aa", "A fox."), ("bb", "A hen."):
            new = placed("x", id=number, premise=premise)
            results.add({**new, "batch": {**new["batch"], "input_id": "x"}})
    assert [story["premise"] for story in stories(tmp_path).values()] == ["A hen."]


def test_what_is_not_superseded_is_not_rewritten(tmp_path: Path) -> None:
    for key in "ab":
        with Results(tmp_path) as results:
            results.add(record(key))
            before = (tmp_path / "stories.jsonl").stat().st_ino
        assert (tmp_path / "stories.jsonl").stat().st_ino == before


def test_closing_twice_is_harmless_and_allows_another_run(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.close()
    with Results(tmp_path) as other:
        results.close()
        with pytest.raises(UsageError, match="Another polaris batch"):
            Results(tmp_path)
        other.add(record("a"))


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    usual = (tmp_path / "plain").stat().st_mode
    for fingerprint in "12":
        with Results(tmp_path) as results:
            results.add(record("a", fingerprint))
            results.fail("b", "", NoStory("It failed."))
        for name in ("stories.jsonl", "failed.jsonl"):
            assert (tmp_path / name).stat().st_mode == usual


def test_threads_may_add_at_once(tmp_path: Path) -> None:
    with Results(tmp_path) as results, ThreadPoolExecutor(8) as pool:
        for number in range(100):
            pool.submit(results.add, record(f"{number % 60}", text="x" * 9999))
            pool.submit(results.fail, f"failed {number}", "", NoStory("It failed."))
    assert stories(tmp_path).keys() == {f"{number}" for number in range(60)}
    assert len(read(tmp_path / "failed.jsonl")) == 100


def test_a_damaged_line_in_the_middle_stays_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    damaged = [b"\n", b"{\n", b'{"batch": 1}\n', b'{"batch": {"key": 1}}\n', b"\xff\n"]
    damaged.append(b"[" * 100_000 + b"\n")
    path.write_bytes(b"".join([*damaged, line("a", "1"), *damaged, line("a", "2")]))
    with Results(tmp_path) as results:
        assert results.damaged == 12 and results.fingerprint("a") == "2"
        results.add(record("b"))
    assert path.read_bytes() == b"".join([*damaged * 2, line("a", "2"), line("b")])


@pytest.mark.parametrize("tail", [line("b")[:-2], line("b")[:9], b"\xf0", b"\0\0", b"{"])
def test_a_torn_last_line_is_cut_away(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_bytes(line("a") + tail)
    with Results(tmp_path) as results:
        assert results.damaged == 0 and results.fingerprint("b") is None
        assert path.read_bytes() == line("a")


def test_a_last_story_without_a_line_break_is_a_story(tmp_path: Path) -> None:
    """Many editors leave it out."""
    (tmp_path / "stories.jsonl").write_bytes(line("a") + line("b")[:-1])
    with Results(tmp_path) as results:
        assert results.fingerprint("b") == "f"
        results.add(record("c"))
    assert stories(tmp_path).keys() == {"a", "b", "c"}


def test_damaged_lines_at_the_end_stay_and_are_counted(tmp_path: Path) -> None:
    path, content = tmp_path / "stories.jsonl", line("a") + b'{"batch": oops}\n\n'
    path.write_bytes(content)
    with Results(tmp_path) as results:
        assert results.damaged == 2
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b'{"my": "data"}', b"a story", b"\xff\xfe", b"x" * 99])
def test_a_line_of_another_program_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stories.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match="is a file of another program"):
        Results(tmp_path)
    assert (tmp_path / "stories.jsonl").read_bytes() == content


def test_a_torn_first_line_is_cut_away(tmp_path: Path) -> None:
    (tmp_path / "stories.jsonl").write_bytes(line("a")[:-2])
    (tmp_path / "failed.jsonl").write_bytes(b'{"key": "b", ')
    with Results(tmp_path) as results:
        results.add(record("b"))
    assert stories(tmp_path).keys() == {"b"}


@pytest.mark.parametrize("name", ["stories.jsonl", "failed.jsonl"])
def test_a_file_of_another_program_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"text": "mine"}\n{"text"')
    for _ in range(2):
        with pytest.raises(UsageError, match=f"{name} is a file of another program"):
            Results(tmp_path)
    assert (tmp_path / name).read_text() == '{"text": "mine"}\n{"text"'


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo])
@pytest.mark.parametrize("name", ["stories.jsonl", "failed.jsonl"])
def test_what_is_not_a_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(UsageError, match=f"{name} is not a regular file"):
        Results(tmp_path)


def test_a_new_folder_named_like_the_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out.jsonl"
    with pytest.raises(UsageError, match="need a folder") as refused:
        Results(folder)
    assert f"-o {tmp_path / 'out'}:" in refused.value.hint and not folder.exists()
    folder.mkdir()
    Results(folder).close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is not a folder") as caught:
        Results(tmp_path / "file")
    assert "-o" in caught.value.hint
    with pytest.raises(OutputError, match="file/inside: Not a directory"):
        Results(tmp_path / "file" / "inside")
    (tmp_path / ".lock").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        Results(tmp_path)


def test_a_line_is_on_the_disk_when_it_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[int]()
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Results(tmp_path) as results:
        for number in range(3):
            results.add(record("a", str(number)))
            assert synced[-1] == (tmp_path / "stories.jsonl").stat().st_size
    assert synced[-1] == (tmp_path / "stories.jsonl").stat().st_size  # after it was rewritten


def test_stories_are_not_held_in_memory(tmp_path: Path) -> None:
    long = "x" * 100_000
    tracemalloc.start()
    try:
        for fingerprint in "12":
            with Results(tmp_path) as results:
                for number in range(30):
                    results.add(record(str(number), fingerprint, text=long))
        assert tracemalloc.get_traced_memory()[1] < 10 * len(long)
    finally:
        tracemalloc.stop()
    assert len(stories(tmp_path)) == 30


texts = st.text(st.characters(codec=None), max_size=5)
keys = st.sampled_from(["a", "b", "\ud83d\ude00", "\U0001f600"]) | texts
operations = st.one_of(
    st.tuples(st.just("add"), keys, texts, texts),
    st.tuples(st.just("fail"), keys, texts, texts),
    st.tuples(st.just("close")),
    st.tuples(st.just("kill"), st.integers(0, 50).map(lambda end: line("b")[:end])),
)


def as_read(value: Any) -> Any:
    """The value as JSON returns it."""
    return json.loads(json.dumps(value))


class Model:
    """What a batch's folder should contain, and the folder."""

    def __init__(self, folder: Path) -> None:
        self.stories: dict[str, Any] = {}
        self.failed: dict[str, Any] = {}
        self.folder, self.number = folder, 0
        self.results = Results(folder / "0")

    def add(self, key: str, fingerprint: str, text: str) -> None:
        self.results.add(record(key, fingerprint, text=text))
        self.stories.pop(as_read(key), None)
        self.stories[as_read(key)] = as_read(record(key, fingerprint, text=text))
        self.failed.pop(as_read(key), None)

    def fail(self, key: str, where: str, message: str) -> None:
        self.results.fail(key, where, NoStory(message))
        failure = {"key": key, "where": where, "error": message, "hint": ""}
        self.failed[as_read(key)] = as_read(failure)

    def close(self) -> None:
        folder = self.folder / f"{self.number}"
        self.results.close()
        self.results.close()
        assert [*stories(folder).items()] == [*self.stories.items()]
        failed = folder / "failed.jsonl"
        assert (read(failed) if failed.exists() else []) == [*self.failed.values()]
        self.results = Results(folder)

    def kill(self, torn: bytes) -> None:
        """Continue with a copy of the files as they are now, and this after the last line."""
        old, new = self.folder / f"{self.number}", self.folder / f"{self.number + 1}"
        shutil.copytree(old, new)
        self.results.close()
        for path in new.glob("*.jsonl"):
            path.write_bytes(path.read_bytes() + torn)
        self.number += 1
        self.results = Results(new)

    def check(self) -> None:
        assert self.results.failed == self.failed and self.results.damaged == 0
        for key in (*self.stories, *self.failed):
            story = self.stories.get(key)
            assert self.results.fingerprint(key) == (story and story["batch"]["fingerprint"])


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(operations, max_size=12))
def test_any_use_equals_a_dictionary(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        model = Model(Path(folder))
        for name, *arguments in [*steps, ("close",)]:
            getattr(model, name)(*arguments)
            model.check()
        model.results.close()


valid_lines = st.builds(line, st.sampled_from("abc"), st.sampled_from("12"))
any_lines = st.lists(valid_lines | st.binary(max_size=9) | st.just(b"\n"), max_size=8)


def key_in(text: bytes) -> str | None:
    """The key of the story in a line without its line break, None if there is none."""
    try:
        return str(json.loads(text.decode())["batch"]["key"])
    except (ValueError, TypeError):
        return None


@settings(max_examples=30)
@given(any_lines.map(b"".join))
def test_any_bytes_are_read_and_no_whole_story_is_lost(content: bytes) -> None:
    last = {key: text for text in content.split(b"\n") if (key := key_in(text))}
    with TemporaryDirectory() as name:
        path = Path(name, "stories.jsonl")
        path.write_bytes(content)
        try:
            Results(Path(name)).close()
        except PolarisError:
            assert not last and path.read_bytes() == content
        else:
            kept = path.read_bytes().split(b"\n")
            assert sorted(filter(key_in, kept)) == sorted(last.values())


def check_kills(folder: Path, times: int) -> None:
    """Kill a process that adds numbers, again and again; all it acknowledged is in the folder."""
    chance, number = random.Random(0), 0
    for _ in range(times):
        with started(ADDS_NUMBERS, folder, number) as process:
            number = acknowledged(process, chance.randint(1, 20))
            time.sleep(chance.random() / 50)
            process.send_signal(signal.SIGKILL)
            assert process.stdout
            number = max([number, *map(int, process.stdout.read().split())])
        with Results(folder) as results:
            assert results.damaged == 0
            latest = int(results.fingerprint("same") or 0)
            assert latest in (number, number + 1)
        found = stories(folder)
        assert found.keys() - {str(number + 1)} == {"same", *map(str, range(1, number + 1))}
        assert {len(story["text"]) for story in found.values()} == {25_000}
        number = max(int(key) for key in found if key != "same")


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    check_kills(tmp_path, 5)


@pytest.mark.slow
def test_a_process_killed_often_loses_nothing(tmp_path: Path) -> None:
    check_kills(tmp_path, 30)


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    with started(ADDS_ONE_AND_WAITS, tmp_path) as process:
        acknowledged(process, 1)
        with pytest.raises(UsageError) as caught:
            Results(tmp_path)
        assert caught.value.message == f"Another polaris batch writes to {tmp_path}."
        process.kill()
    with Results(tmp_path) as results:
        assert results.fingerprint("1") == "1"


def test_a_story_that_does_not_fit_leaves_whole_lines(tmp_path: Path) -> None:
    program = f"""{RECORD}
from polaris_cli.errors import OutputError
results = Results(Path(sys.argv[1]))
results.add(record("small", 1) | {{"text": ""}})
for key in ("first", "second"):
    try:
        results.add(record(key, 1))
    except OutputError as error:
        print(error.message, error.hint)
results.add(record("small", 2) | {{"text": ""}})
results.close()
"""
    ended = subprocess.run(
        [*LIMITED, sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    message = f"Cannot write {tmp_path / 'stories.jsonl'}: File too large."
    assert ended.stdout.startswith(message) and ended.stdout.count(message) == 2
    assert stories(tmp_path) == {"small": record("small", "2", text="")}
