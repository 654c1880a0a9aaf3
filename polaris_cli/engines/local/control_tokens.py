"""The tokens of a tokenizer that steer a model and have no text of their own: `control_tokens`.

Knows tokenizers only.
"""

import re
from typing import Any

# Such as "<|video_pad|>" (DeepSeek's bars are wide), "</tool_response>", "[INST]" and "[|user|]".
# Other added tokens may be words or spaces.
_CONTROL = re.compile(r"</?[|\uff5c\w][^<>\s]*>|\[/?[A-Z_]+\]|\[\|\w+\|\]")


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """The added tokens, and their ids, that are marked as special or that look like tags."""
    added = tokenizer.added_tokens_decoder.items()
    return {
        token.content: id_
        for id_, token in added
        if token.special or _CONTROL.fullmatch(token.content)
    }
