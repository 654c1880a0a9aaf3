"""What vLLM refuses, and with which words: the checks of a request's fields.

Knows only the fields that polaris sends, and nothing of HTTP but its status.
"""

from collections.abc import Sequence

from tests.servers import byte_tokens
from tests.servers.vllm_json import Json, Refused, error


def check_model(body: Json, model: str) -> None:
    """Raise Refused for another model's name; none at all is taken for `model`."""
    name = body.get("model") or model
    if name != model:
        message = f"The model `{name}` does not exist. Valid aliases: {model}."
        raise Refused(404, error(message, "model", "NotFoundError"))


def check_types(body: Json, required: Sequence[str]) -> None:
    """Raise Refused for a missing field, or a number of tokens that is no number."""
    for name in required:
        if name not in body:
            raise _invalid(name, "missing", "Field required", f"<dict of {len(body)} items>")
    for name in ("max_tokens", "min_tokens"):
        if not isinstance(body.get(name, 0), int):
            reason = "Input should be a valid integer, unable to parse string as an integer"
            raise _invalid(name, "int_parsing", reason, body[name])


def _invalid(name: str, kind: str, reason: str, given: object) -> Refused:
    details = {"type": kind, "loc": f"body.{name}", "msg": reason, "input": given}
    return Refused(400, error(f"1 validation error:\n  {details}", f"body.{name}", "Bad Request"))


def check_values(body: Json, context: int) -> None:
    """Raise Refused for the first value that is out of range."""
    heat, top_p = body.get("temperature", 1.0), body.get("top_p", 1.0)
    most, least = body.get("max_tokens", 16), body.get("min_tokens", 0)
    checks = (
        ("stream_options" in body and not body.get("stream"), "stream_options",
         "Stream options can only be defined when `stream=True`."),
        (heat < 0, "temperature", f"temperature must be non-negative, got {heat:.1f}."),
        (not 0 < top_p <= 1, "top_p", f"top_p must be in (0, 1], got {top_p:.1f}."),
        (most > context, "max_tokens",
         f"max_tokens={most} cannot be greater than max_model_len={context}."),
        (most < 1, "max_tokens", f"max_tokens must be at least 1, got {most}."),
        (least > most, None,
         f"min_tokens must be less than or equal to max_tokens={most}, got {least}."),
    )  # fmt: skip
    for wrong, param, message in checks:
        if wrong:
            raise Refused(400, error(message + (f" (parameter={param})" if param else ""), param))


def check_tokens(body: Json, prompt: Sequence[int], context: int) -> None:
    """Raise Refused for a prompt that is empty, too long, or of ids that are no tokens."""
    if not prompt:
        raise Refused(400, error("You must pass at least one prompt"))
    if len(prompt) > context:
        message = f"This model's maximum context length is {context} tokens. However, your prompt "
        message += f"contains {len(prompt)} input tokens. (parameter=input_tokens)"
        raise Refused(400, error(message, "input_tokens"))
    if len(prompt) == context:  # no room is left for an answer
        raise Refused(400, error("max_tokens must be at least 1, got 0.", "max_tokens"))
    unknown = [token for token in prompt if token >= byte_tokens.SIZE]
    if unknown:
        raise Refused(400, error(f"Token id {unknown[0]} is out of vocabulary"), late=True)
    biased = [int(token) for token in body.get("logit_bias") or {}]
    unknown = [token for token in biased if token >= byte_tokens.SIZE]
    if unknown:
        message = f"token_id(s) {unknown} in logit_bias contain out-of-vocab token ids."
        raise Refused(400, error(f"{message} (parameter=logit_bias)", "logit_bias"), late=True)
