"""`polaris doctor`: shows what this machine or a server can run, and how to fix problems."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from polaris_cli.commands.options import ApiKeyEnv, BaseUrl, ConnectTimeout, StallTimeout
from polaris_cli.engines.doctor import Diagnosis, Problem, diagnose
from polaris_cli.engines.endpoint.checking import CheckedServer, check_server
from polaris_cli.errors import UsageError
from polaris_cli.models.catalogue import CATALOGUE
from polaris_cli.models.devices import Device, size_text
from polaris_cli.request.conflicts import check_needed
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.settings import SETTINGS, gather, merge, server_address
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    base_url: BaseUrl = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The server's model to ask (the first).")
    ] = None,
    api_key_env: ApiKeyEnv = None,
    connect_timeout: ConnectTimeout = None,
    stall_timeout: StallTimeout = None,
) -> None:
    """Check devices, memory, hub access, disk and packages, and suggest fixes.

    With --base-url, checks a server: its kind, models, context, and the settings it takes.

    \b
    Examples:
      polaris doctor
      polaris doctor --base-url http://127.0.0.1:8000/v1
    """
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    if address := _address(options):
        with terminal.loading(f"Asking {address.base_url}", sys.stderr, quiet=as_json):
            server = check_server(address, model)
        print_json(asdict(server), indent=2) if as_json else _print_server(server)
        return
    names = ("model", "api_key_env", "connect_timeout", "stall_timeout")
    given = {f"--{name.replace('_', '-')}": options[name] for name in names}
    check_needed("a server", "--base-url URL", given)
    with terminal.loading("Checking this machine", sys.stderr, quiet=as_json):
        found = diagnose()
    configured, problems = _configured(options)
    found = replace(found, problems=(*problems, *found.problems))
    if as_json:
        url = configured.base_url if configured else None
        print_json(as_data(found) | {"configured_server": url}, indent=2)
        return
    _print(found)
    if configured:
        print_text(f"Your settings name a server for the stories: {configured.base_url}")
        print_text(f"To check it: polaris doctor --base-url {configured.base_url}")


def _address(options: dict[str, object]) -> ServerAddress | None:
    """The server of --base-url, with the key and the timeouts that `polaris write` would use."""
    if not options["base_url"]:
        return None
    return server_address(merge(gather({**options, "engine": "endpoint"})))


def _configured(options: dict[str, object]) -> tuple[ServerAddress | None, list[Problem]]:
    """The server that the user's settings name, and what is wrong with the settings."""
    try:
        return server_address(merge(gather(options))), []
    except UsageError as error:
        return None, [Problem(error.message, error.hint)]
    except OSError as error:
        what = f"Cannot read {error.filename}: {error.strerror}."
        return None, [Problem(what, "Change its permissions, or set XDG_CONFIG_HOME.")]


def _print_server(found: CheckedServer) -> None:
    server, can = found.server, found.capabilities
    _table(("server", "value"), [("address", server.address.base_url), ("kind", server.name)])
    contexts = ((model, server.context_of(model)) for model in server.models)
    rows = [(model, f"{size:,}" if size else "unknown") for model, size in contexts]
    _table(("model", "context in tokens"), rows)
    if not can:
        print_text("It lists no models; name one: --model ID")
        return
    if found.problem:
        print_text(f"Problem: {found.model} gives no answer. {found.problem}", wrap=True)
        if len(server.models) > 1:
            print_text("    Fix: Ask another one: --model ID")
        return
    yes = {True: "yes", False: "no"}
    _table(
        ("it can", ""),
        [
            ("continue a text (--continue, resume)", yes[can.token_ids]),
            ("limit the thinking (--thinking-budget)", yes[can.thinking_budget]),
            ("write further parts and chapters", "yes"),
        ],
    )
    _table(("setting", f"with {found.model}"), list(found.settings.items()))


def as_data(found: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain data."""
    data = asdict(found)
    for device, plain in zip(found.devices, data["devices"], strict=True):
        plain["id"] = device.id
    return data


def _print(found: Diagnosis) -> None:
    _table(("device", "name", "free", "memory"), [_device(device) for device in found.devices])
    _table(("cores", "busy", "threads"), [_cpu(found)])
    _table(("model", "bf16", "8-bit", "4-bit"), _fits(found))
    if found.gguf:
        _table(("GGUF file with llama.cpp", "needed", "fits"), _gguf(found))
    _table(("hub", "status"), list(found.hub.items()))
    _table(("disk", "value"), _disk(found.cache))
    _table(("optional package", "version"), list(found.kernels.items()))
    _table(("package", "version"), list(found.versions.items()))
    if not found.problems:
        print_text("No problems.")
    for problem in found.problems:
        print_text(f"Problem: {problem.what}", wrap=True)
        print_text(f"    Fix: {problem.fix}")


def _device(device: Device) -> tuple[str, ...]:
    free, total = (f"{size_text(size)}" for size in (device.free_bytes, device.total_bytes))
    return device.id, device.name, free, total


def _cpu(found: Diagnosis) -> tuple[str, ...]:
    return tuple(f"{found.cpu[name]:g}" for name in ("cores", "busy", "threads"))


def _fits(found: Diagnosis) -> list[tuple[str, ...]]:
    verdicts = (found.fits[entry.name].values() for entry in CATALOGUE)
    words = (["fits" if fits else "too large" for fits in row] for row in verdicts)
    return [(entry.name, *row) for entry, row in zip(CATALOGUE, words, strict=True)]


def _gguf(found: Diagnosis) -> list[tuple[str, ...]]:
    return [
        (name, size_text(need["bytes"]), "fits" if need["fits"] else "too large")
        for name, need in found.gguf.items()
    ]


def _disk(cache: dict[str, Any]) -> list[tuple[str, str]]:
    models = [(name, f"{size_text(size)}") for name, size in cache["models"].items()]
    free = cache.get("free_bytes")  # not known where the folder cannot be read
    return [
        ("models folder", cache["folder"]),
        *([] if free is None else [("free", size_text(free))]),
        *models,
    ]


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print_table(headers, rows, sys.stdout)
    print_text("")
