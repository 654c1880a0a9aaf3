"""The settings a story can be given, how each is read, and which source of them wins.

A setting comes from an option, the environment (`POLARIS_TOP_K`), `config.toml` or a preset, in
that order of strength; all are read by the same parsers here. Knows files and names, not what
the values do: `StoryRequest` checks their ranges.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from string import Formatter
from typing import Any

import platformdirs

from polaris_cli.errors import UsageError
from polaris_cli.request.story_request import (
    ENGINES,
    FORMS,
    LENGTHS,
    QUANTIZE,
    Draft,
    Sampling,
    StoryRequest,
)

_GROUPED = re.compile(r"-?\d{1,3}([,.'’ \u00a0\u202f_])\d{3}(?:\1\d{3})*")  # noqa: RUF001

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from, in words: "option", "preset default", ..."""

    value: Any
    source: str


Source = tuple[str, dict[str, Any]]
"""The name of where settings come from, and their values."""


def parse_words(value: object) -> int:
    """A number of words from 3000, "3000", "3,000", "3k" or "2.5k". Raises ValueError.

    Three digits behind a point or a space are thousands too, as many languages write them: nobody
    asks for 3.000 words and means three.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if isinstance(value, str) and _GROUPED.fullmatch(text):
        return int(re.sub(r"[^\d-]", "", text))
    match = re.fullmatch(r"(-?\d+|-?\d*\.\d+|-?\d*,\d+(?=\s*k))\s*(k?)", text)
    if not match:
        raise ValueError(value)
    number = float(match[1].replace(",", ".")) * (1000 if match[2] else 1)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def parse_band(value: object) -> tuple[float, float]:
    """A band from "0.9-1.1", or from two numbers. Raises ValueError."""
    if isinstance(value, tuple | list):
        least, most = map(float, value)
        return least, most
    low, dash, high = str(value).strip().partition("-")
    if not dash:
        raise ValueError(value)
    return float(low), float(high)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(value)
    return word in TRUE


def _integer(value: object) -> int:
    if isinstance(value, bool | float):
        raise ValueError(value)
    return int(str(value).strip())


def _chapters(value: object) -> int | None:
    """A number of chapters; "auto" leaves it to the length."""
    return None if value == "auto" else _integer(value)


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(str(value).strip())


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def _template(value: object) -> str:
    """A prompt wording that states premise and words and names no other field.

    Two braces stand for one, as in `str.format`; a single one is a mistake in the file.
    """
    text = _text(value)
    parts = list(Formatter().parse(text))  # raises ValueError for a lone brace
    named = {name for _, name, _, _ in parts if name is not None}
    decorated = any(format or conversion for _, _, format, conversion in parts)
    if decorated or not {"premise", "words"} <= named <= {"premise", "words", "form"}:
        raise ValueError(value)
    return text


def _choice(allowed: tuple[str, ...]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return parse


@dataclass(frozen=True, slots=True)
class Kind:
    """How one setting is read, what it may be in words, and what there is to choose from."""

    parse: Callable[[object], Any]
    allowed: str
    choices: tuple[str, ...] = ()


def _one_of(choices: tuple[str, ...]) -> Kind:
    return Kind(_choice(choices), f"one of {', '.join(choices)}", choices)


SETTINGS: dict[str, Kind] = {
    "words": Kind(parse_words, "a number such as 3000, 3k or 2.5k"),
    "form": _one_of(FORMS),
    "template": Kind(
        _template,
        "text with {premise} and {words}, and {form} if you like; {{ and }} stand for braces",
    ),
    "length": _one_of(LENGTHS),
    "chapters": Kind(_chapters, "a number of chapters, or auto"),
    "headings": Kind(_flag, "true or false"),
    "temperature": Kind(_number, "a number from 0 to 5"),
    "top_p": Kind(_number, "a number above 0, to 1"),
    "top_k": Kind(_integer, "a whole number, 0 for no limit"),
    "min_p": Kind(_number, "a number from 0 to 1"),
    "repetition_penalty": Kind(_number, "a number above 0; 1.0 means none"),
    "presence_penalty": Kind(_number, "a number from -2 to 2; 0 means none"),
    "dry_multiplier": Kind(_number, "a number from 0 to 100; 0 means none"),
    "seed": Kind(_integer, "a whole number"),
    "max_new_tokens": Kind(_integer, "a whole number of tokens"),
    "think": Kind(_flag, "true or false"),
    "thinking_budget": Kind(_integer, "a number of tokens, -1 for no limit, 0 for no thinking"),
    "model": Kind(_text, "a model's name, a folder or a hub id"),
    "revision": Kind(_text, "a branch, tag or commit of the model's repository"),
    "quantize": _one_of(QUANTIZE),
    "device": Kind(_text, "auto, cuda, cuda:N, mps or cpu"),
    "compile": Kind(_flag, "true or false"),
    "engine": _one_of(ENGINES),
    "base_url": Kind(_text, "the address of a server"),
    "band": Kind(parse_band, "two ratios such as 0.9-1.1"),
    "preset": Kind(_text, "a preset's name or file"),
}

# A preset says how to write; which model runs where is the user's own affair.
PRESET_KEYS = ("description", *list(SETTINGS)[: list(SETTINGS).index("model")])


def config_folder() -> Path:
    """Where the user's `config.toml` and own presets are."""
    return platformdirs.user_config_path("polaris")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises UsageError."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text.",
            hint=f"Save it as UTF-8, for instance: iconv -f LATIN1 -t UTF-8 {path.name}",
        ) from error


def read_toml(path: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a TOML file, parsed. Raises UsageError naming file, key, allowed values."""
    text = read_text(path)
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path} is not valid TOML: {error}.", hint="Correct the file, then try again."
        ) from error
    unknown = sorted(set(raw) - set(allowed))
    if unknown:
        near = difflib.get_close_matches(unknown[0], allowed, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"{path} has no key {unknown[0]!r}.", hint=f"{meant}Allowed keys: {', '.join(allowed)}"
        )
    values = {name: _parsed(name, value, f"{path}: {name}") for name, value in raw.items()}
    return _consistent(values, str(path))


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings given as POLARIS_* variables; an empty variable counts as unset."""
    named = {f"POLARIS_{name.upper()}": name for name in SETTINGS}
    values = {
        name: _parsed(name, environ[variable], variable)
        for variable, name in named.items()
        if environ.get(variable)
    }
    return _consistent(values, "The environment")


def _consistent(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The settings of one source, unless they contradict each other."""
    if "chapters" in values and values.get("length") in ("single", "extend"):
        raise UsageError(
            f"{where}: length {values['length']} and chapters contradict each other.",
            hint="Leave out one of them.",
        )
    return values


def from_options(options: Mapping[str, object]) -> dict[str, Any]:
    """The settings given on the command line, or by name in Python; None means not given.

    Raises UsageError for a name that is no setting and for a value that cannot be read.
    """
    unknown = [name for name in options if name not in SETTINGS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], SETTINGS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Settings: {', '.join(SETTINGS)}"
        raise UsageError(f"There is no setting {unknown[0]!r}.", hint=hint)
    return {
        name: _parsed(name, value, f"--{name.replace('_', '-')}")
        for name, value in options.items()
        if value is not None
    }


def from_config() -> dict[str, Any]:
    """The settings of the user's `config.toml`, {} where there is none."""
    path = config_folder() / "config.toml"
    return read_toml(path, tuple(SETTINGS)) if path.is_file() else {}


def gather(options: Mapping[str, object]) -> list[Source]:
    """Options, environment and config, strongest first, each with the name of its source."""
    return [
        ("option", from_options(options)),
        ("environment", from_environment(os.environ)),
        ("config.toml", from_config()),
    ]


def merge(sources: list[Source]) -> dict[str, Setting]:
    """Every setting with the value of its strongest source, and that source's name.

    To speak of chapters is to ask for them, unless a stronger source asks for another way.
    """
    merged: dict[str, Setting] = {}
    for source, values in reversed(sources):
        if values.get("length") in ("single", "extend"):
            merged.pop("chapters", None)
        merged |= {name: Setting(value, source) for name, value in values.items()}
        if "chapters" in values:
            merged["length"] = Setting("chapters", source)
    return merged


def build_request(
    premise: str, settings: Mapping[str, Setting], draft: Draft | None = None
) -> StoryRequest:
    """The request of merged settings; a seed is drawn here when none is given.

    Raises UsageError for values that cannot be right.
    """
    values = {name: setting.value for name, setting in settings.items()}
    values.setdefault("seed", int.from_bytes(os.urandom(4), "big"))
    if "think" in values:
        values["thinking"] = values["think"]
    sampling = Sampling(**dict(_chosen(values, Sampling)))
    chosen = dict(_chosen(values, StoryRequest))
    return StoryRequest(premise=premise, sampling=sampling, draft=draft, **chosen)


def _chosen(values: Mapping[str, Any], target: type) -> Iterator[tuple[str, Any]]:
    names = {item.name for item in fields(target)}
    return ((name, value) for name, value in values.items() if name in names)


def _parsed(name: str, value: object, where: str) -> Any:
    if name == "description":
        return _text(value)
    kind = SETTINGS[name]
    try:
        return kind.parse(value)
    except (ValueError, OverflowError) as error:
        near = difflib.get_close_matches(str(value), kind.choices, n=1)
        meant = f"Did you mean {near[0]}?" if near else ""
        if kind.choices:
            fault, hint = f"{value!r} is not {kind.allowed}", meant or "Give one of these."
        else:
            fault, hint = f"{value!r} cannot be read", f"Give {kind.allowed}."
        raise UsageError(f"{where}: {fault}.", hint=hint) from error
