"""Values as JSON that is safe wherever it goes: `json_text`.

Its strings are also strings of YAML and TOML, but for half characters, which these do not have.
"""

import json
import re
from typing import Any

# JSON may contain these as they are. A terminal obeys some, YAML refuses some or takes them for
# line ends, and lone surrogates are no text.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def json_text(data: Any, *, indent: int | None = None) -> str:
    """JSON that UTF-8 can encode; characters that a terminal obeys are escaped."""
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
