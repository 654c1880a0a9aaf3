"""Chats for models whose chat template refuses a system message, such as Gemma 2: `without_system`.

Does not know how a template refuses.
"""

Chat = list[dict[str, str]]


def starts_with_system(chat: Chat) -> bool:
    """Whether a system message comes before the user's first message."""
    return [message["role"] for message in chat[:2]] == ["system", "user"]


def without_system(chat: Chat) -> Chat:
    """The chat with the text of its system message at the start of the user's first message."""
    system, first, *rest = chat
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]
