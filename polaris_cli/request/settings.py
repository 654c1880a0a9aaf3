"""All settings of a story: how each is parsed, and which source wins.

A setting comes from an option, the environment (`POLARIS_TOP_K`), `config.toml` or a preset; the
first of these wins. All sources share the parsers here. Does not know what the values do:
`StoryRequest` checks their ranges.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import platformdirs

from polaris_cli.errors import PolarisError, UsageError, WrongValue, did_you_mean
from polaris_cli.languages import is_tag
from polaris_cli.request.book import Book
from polaris_cli.request.conflicts import check_values
from polaris_cli.request.paths import expanded
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import (
    ENGINES,
    FORMS,
    LENGTHS,
    QUANTIZE,
    Draft,
    Sampling,
    StoryRequest,
    check_uses_server,
)
from polaris_cli.request.text_files import parse_toml, read_text

_GROUPED = re.compile(r"-?\d{1,3}([,.'’ \u00a0\u202f_])\d{3}(?:\1\d{3})*")  # noqa: RUF001
_COMMA = re.compile(r"^(?!-?[1-9]\d*,\d{3}$)(-?\d*),(?=\d+$)")  # "0,7"; "1,500" may be 1500

MAX_LINE = 500  # characters of a title or an author
LARGEST = 2**63  # of a whole number: the library and torch store 64 bits

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from: "option", "environment", "preset default", ..."""

    value: Any
    source: str

    def name_of(self, setting: str) -> str:
        """Where the user set it: "--words", "POLARIS_WORDS", "words in config.toml"."""
        names = {"option": _option(setting), "environment": variable_of(setting)}
        return names.get(self.source, f"{setting} in {self.source}")


T = TypeVar("T")
Source = tuple[str, dict[str, Any]]
"""The name of a source, and its settings."""


def parse_words(value: object) -> int:
    """A number of words from 3000, "3000", "3,000", "3k" or "2.5k". Raises ValueError.

    "3.000" and "3 000" are 3000 too, as many languages write it: nobody asks for three words with
    three decimals.
    """
    if isinstance(value, int):
        return _integer(value)
    text = str(value).strip().lower()
    if isinstance(value, str) and _GROUPED.fullmatch(text):
        return int(re.sub(r"[^\d-]", "", text))
    match = re.fullmatch(r"(-?\d+|-?\d*\.\d+|-?\d*,\d+(?=\s*k))\s*(k?)", text)
    if not match:
        raise ValueError(value)
    number = float(match[1].replace(",", "."))
    number = round(number * 1000, 6) if match[2] else number  # 8.05 * 1000 is not quite 8050
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
    return _number(low), _number(high)


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
    number = int(str(value).strip())
    if abs(number) >= LARGEST:
        raise ValueError(value)
    return number


def _chapters(value: object) -> int | None:
    """A number of chapters, None for "auto"."""
    return None if value == "auto" else _integer(value)


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(_COMMA.sub(r"\1.", str(value).strip()))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def _name(value: object) -> str:
    text = _text(value)
    text.encode()  # raises a ValueError for bytes that are no UTF-8
    return text


def _line(value: object) -> str:
    """A name of one line."""
    text = _name(value)
    if len(text) > MAX_LINE or len(text.splitlines()) > 1:
        raise ValueError(value)
    return text


def _language(value: object) -> str:
    text = _text(value)
    if not is_tag(text):
        raise ValueError(value)
    return text


def _file(value: object) -> str:
    """The whole path of a file, so that it is the same one from any folder."""
    return str(expanded(_name(value)).absolute())


def _revision(value: object) -> str:
    """A name that git allows for a branch, tag or commit, nearly: no spaces, of a path's length."""
    text = _name(value)
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f~^:?*\[\\]{1,200}", text):
        raise ValueError(value)
    return text


def _template(value: object) -> str:
    """A prompt template: it must contain {premise} and {words}, may contain {form}, and no others.

    Two braces stand for one, as in `str.format`. Raises ValueError.
    """
    text = _name(value)
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
class SettingType:
    """How a setting is parsed, a description of allowed values, and its choices if it has some."""

    parse: Callable[[object], Any]
    allowed: str
    choices: tuple[str, ...] = ()


def _one_of(choices: tuple[str, ...]) -> SettingType:
    return SettingType(_choice(choices), f"one of {', '.join(choices)}", choices)


SETTINGS: dict[str, SettingType] = {
    "words": SettingType(parse_words, "a number such as 3000, 3k or 2.5k"),
    "form": _one_of(FORMS),
    "template": SettingType(
        _template,
        "text with {premise} and {words}, and {form} if you like; {{ and }} stand for braces",
    ),
    "length": _one_of(LENGTHS),
    "chapters": SettingType(_chapters, "a number of chapters, or auto"),
    "headings": SettingType(_flag, "true or false"),
    "temperature": SettingType(_number, "a number from 0 to 5"),
    "top_p": SettingType(_number, "a number above 0, at most 1"),
    "top_k": SettingType(_integer, "a whole number, 0 for no limit"),
    "min_p": SettingType(_number, "a number from 0 to 1"),
    "repetition_penalty": SettingType(_number, "a number from 0.01 to 10; 1.0 means none"),
    "repetition_window": SettingType(_integer, "a number of tokens; 0 means all"),
    "presence_penalty": SettingType(_number, "a number from -2 to 2; 0 means none"),
    "dry_multiplier": SettingType(_number, "a number from 0 to 100; 0 means none"),
    "seed": SettingType(_integer, "a whole number"),
    "max_new_tokens": SettingType(_integer, "a whole number of tokens"),
    "think": SettingType(_flag, "true or false"),
    "thinking_budget": SettingType(
        _integer, "a number of tokens, -1 for no limit, 0 for no thinking"
    ),
    "model": SettingType(_text, "a model's name, a folder or a hub id"),
    "revision": SettingType(_revision, "a branch, tag or commit of the model's repository"),
    "quantize": _one_of(QUANTIZE),
    "device": SettingType(_name, "auto, cuda, cuda:N, mps or cpu"),
    "compile": SettingType(_flag, "true or false"),
    "engine": _one_of(ENGINES),
    "gguf_file": SettingType(_text, "the name of a GGUF file in the model's repository"),
    "threads": SettingType(_integer, "a number of threads"),
    "base_url": SettingType(_name, "the address of a server"),
    "api_key_env": SettingType(_name, "the name of an environment variable"),
    "connect_timeout": SettingType(_number, "a number of seconds"),
    "stall_timeout": SettingType(_number, "a number of seconds"),
    "band": SettingType(parse_band, "two ratios such as 0.9-1.1"),
    "preset": SettingType(_text, "a preset's name or file"),
    "title": SettingType(_line, "one line of text"),
    "author": SettingType(_line, "one line of text"),
    "language": SettingType(_language, "a language tag such as en or pt-BR"),
    "cover": SettingType(_file, "the path of a JPEG or PNG image"),
}

DESCRIPTION = SettingType(_text, "one line of text")

# A preset says how to write. The model and the device are up to the user.
OF_THE_TEXT = [name for name in SETTINGS if name not in {item.name for item in fields(Book)}]
# The settings that decide which engine is loaded, and how.
OF_THE_ENGINE = (
    "model", "revision", "quantize", "device", "compile", "engine", "gguf_file", "threads",
    "base_url", "api_key_env", "connect_timeout", "stall_timeout",
)  # fmt: skip
NAMES = ("model", "preset", "device", "cover")  # their values may be unknown on this machine
WHOLE = [name for name, kind in SETTINGS.items() if kind.parse in (_integer, _chapters)]
PRESET_KEYS = ("description", *list(SETTINGS)[: list(SETTINGS).index("model")])


def config_folder() -> Path:
    """The folder with the user's `config.toml` and presets."""
    return platformdirs.user_config_path("polaris")


def read_toml(path: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The parsed settings of a TOML file. Raises UsageError that names the file and the key."""
    raw = parse_toml(read_text(path), path, "Fix the file, then try again.")
    unknown = sorted(set(raw) - set(allowed))
    if unknown:
        meant = did_you_mean(unknown[0], allowed)
        raise UsageError(
            f"{path}: unknown key {unknown[0]!r}.",
            hint=f"{meant}Allowed keys: {', '.join(allowed)}",
        )
    raw = {name: _beside(path, name, value) for name, value in raw.items()}
    values = {name: _parsed(name, value, f"{path}: {name}") for name, value in raw.items()}
    check_values(values, str(path))
    return values


def _beside(file: Path, name: str, value: Any) -> Any:
    """A value of a file; a path in it begins at the file's folder, not at the current one."""
    if not isinstance(value, str) or not value.strip():
        return value
    is_path = name == "cover" or (name in NAMES and value.startswith(("./", "../")))
    return str(file.parent / expanded(value)) if is_path else value


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings from POLARIS_* variables; an empty variable counts as unset."""
    named = {variable_of(name): name for name in SETTINGS}
    values = {
        name: _parsed(name, environ[variable], variable)
        for variable, name in named.items()
        if environ.get(variable)
    }
    check_values(values, "The environment")
    return values


def from_options(options: Mapping[str, object]) -> dict[str, Any]:
    """The settings from the command line or from Python; None means not given.

    Raises UsageError for an unknown name or an invalid value.
    """
    unknown = [name for name in options if name not in SETTINGS]
    if unknown:
        hint = did_you_mean(unknown[0], SETTINGS).rstrip() or f"Settings: {', '.join(SETTINGS)}"
        raise UsageError(f"There is no setting {unknown[0]!r}.", hint=hint)
    return {
        name: _parsed(name, value, _option(name))
        for name, value in options.items()
        if value is not None
    }


def checked_option(name: str, value: object, check: Callable[[T], None]) -> T:
    """The value of a setting's option, for a command that takes it alone.

    Raises UsageError for an invalid value, and for one that `check` refuses.
    """
    parsed: T = from_options({name: value})[name]
    with naming_sources({name: Setting(parsed, "option")}):
        check(parsed)
    return parsed


def from_config() -> dict[str, Any]:
    """The settings from the user's `config.toml`, {} if there is none."""
    path = config_folder() / "config.toml"
    return read_toml(path, tuple(SETTINGS)) if path.is_file() else {}


def gather(options: Mapping[str, object]) -> list[Source]:
    """The user's sources of settings, strongest first: options, environment, config.toml."""
    return [
        ("option", from_options(options)),
        ("environment", from_environment(os.environ)),
        ("config.toml", from_config()),
    ]


def merge(sources: list[Source]) -> dict[str, Setting]:
    """Every setting with the value and the name of its strongest source.

    `chapters` implies `length = "chapters"`, unless a stronger source sets another length mode. A
    base URL given as an option implies the engine `endpoint`; any other counts only with it.
    """
    merged: dict[str, Setting] = {}
    for source, values in reversed(sources):
        if values.get("length") in ("single", "extend"):
            merged.pop("chapters", None)
        merged |= {name: Setting(value, source) for name, value in values.items()}
        if "chapters" in values:
            merged["length"] = Setting("chapters", source)
    return _with_engine(merged)


def _with_engine(merged: dict[str, Setting]) -> dict[str, Setting]:
    """The settings with the engine that the base URL implies, or without the base URL."""
    engine, url = merged.get("engine"), merged.get("base_url")
    if not url or (engine and engine.value == "endpoint"):
        return merged
    if url.source != "option":
        return {name: setting for name, setting in merged.items() if name != "base_url"}
    if not engine or engine.value == "auto":
        return merged | {"engine": Setting("endpoint", url.source)}
    return merged


def build_request(
    premise: str, settings: Mapping[str, Setting], draft: Draft | None = None
) -> StoryRequest:
    """The request for merged settings, with a random seed if none is given.

    Raises UsageError for values out of range.
    """
    values = {name: setting.value for name, setting in settings.items()}
    values.setdefault("seed", int.from_bytes(os.urandom(4), "big"))
    if "think" in values:
        values["thinking"] = values["think"]
    server = server_address(settings)
    with naming_sources(settings):
        return StoryRequest(
            premise=premise,
            sampling=Sampling(**dict(_chosen(values, Sampling))),
            draft=draft,
            server=server,
            book=Book(**dict(_chosen(values, Book))),
            **dict(_chosen(values, StoryRequest)),
        )


def server_address(settings: Mapping[str, Setting]) -> ServerAddress | None:
    """The address of the server in merged settings; None if there is none."""
    if "base_url" not in settings:
        return None
    if "engine" in settings:
        check_uses_server(settings["engine"].value)
    values = {name: setting.value for name, setting in settings.items()}
    with naming_sources(settings):
        return ServerAddress(**dict(_chosen(values, ServerAddress)))


@contextmanager
def naming_sources(settings: Mapping[str, Setting]) -> Iterator[None]:
    """Say in an error on a value where the user set it, if that is not an option."""
    try:
        yield
    except PolarisError as error:
        if isinstance(error, WrongValue) and (setting := settings.get(error.setting)):
            error.set_by(setting.name_of(error.setting), _option(error.setting))
        for name, setting in settings.items():
            if setting.source not in ("option", "built in"):
                _name_source(error, name, setting)
        raise


def _name_source(error: PolarisError, name: str, setting: Setting) -> None:
    """Put where a setting was set in place of its option, unless the hint is to add the option."""
    place = setting.name_of(name)
    value = str(setting.value)
    option = rf"{_option(name)}(?: {re.escape(value)})?(?![\w-])"
    message = re.sub(option, lambda _: place, error.message)
    named = repr(value) in message or ("/" in value and str(expanded(value)) in message)
    if name in NAMES and named and not message.startswith(place):
        message = f"{place}: {message}"
    error.message, error.args = message, (message,)
    error.hint = re.sub(rf"(?<=eave out ){option}", lambda _: place, error.hint)


def _chosen(values: Mapping[str, Any], target: type) -> Iterator[tuple[str, Any]]:
    names = {item.name for item in fields(target)}
    return ((name, value) for name, value in values.items() if name in names)


def _parsed(name: str, value: object, where: str) -> Any:
    setting = DESCRIPTION if name == "description" else SETTINGS[name]
    try:
        return setting.parse(value)
    except (ValueError, TypeError, OverflowError) as error:
        if not setting.choices:
            raise UsageError(
                f"{where}: invalid value {value!r}.", hint=f"Give {setting.allowed}."
            ) from error
        hint = did_you_mean(str(value), setting.choices).rstrip() or "Choose one of these."
        raise UsageError(f"{where}: {value!r} is not {setting.allowed}.", hint=hint) from error


def _option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return f"POLARIS_{setting.upper()}"
