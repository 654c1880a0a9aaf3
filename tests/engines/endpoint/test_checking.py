"""What a server does with the settings, and that a model which does not answer is named."""

from polaris_cli.engines.endpoint.checking import SETTINGS, check_server
from polaris_cli.request.server_address import ServerAddress
from tests.servers.faulty import Faulty
from tests.servers.replies import refused, refusing


def test_every_setting_is_applied_or_named() -> None:
    with Faulty(refusing(["top_k"], "openai")) as server:
        found = check_server(ServerAddress(server.url))
    assert (found.model, found.problem) == ("test-model", "")
    assert tuple(found.settings) == SETTINGS
    assert found.settings["top_p"] == "applied"
    assert found.settings["top_k"] == "the server refuses it"


def test_no_setting_is_applied_by_a_model_that_does_not_answer() -> None:
    with Faulty(refused(404, "whisper-1 does not chat")) as server:
        found = check_server(ServerAddress(server.url))
    assert "whisper-1 does not chat" in found.problem and not found.settings
