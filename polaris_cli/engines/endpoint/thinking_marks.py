"""Whether a chat server marks the thinking in its answers: `ThinkingMarks`.

Most servers send the thinking in a field of its own, or between tags. One whose chat template opens
the thinking may send it as plain text that only a closing tag ends, asked for or not. Text that may
be such thinking is held back, so a short trial answer comes before the first story: if it has no
thinking, the story streams at once. Knows answers, not servers.
"""

from collections.abc import Iterator

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.errors import EndpointError
from polaris_cli.events import AnswerEvent, Chunk, Finish, RawEvent, closing
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import CLOSING_TAGS, TAGS

QUESTION = Message("user", "Answer with one word: yes.")
MOST_TOKENS = 512  # a model may think before it answers even that, in a field or unseen
ANSWER = 400  # characters; the end of longer text is not waited for


def trial(sampling: Sampling) -> GenerationRequest:
    """The request for the trial answer."""
    return GenerationRequest((QUESTION,), sampling, MOST_TOKENS)


class ThinkingMarks:
    """What is known of a server's answers with and without thinking asked for.

    `labelled`: it is known to send the thinking in a field of its own.
    """

    def __init__(self, *, labelled: bool) -> None:
        self._labelled = labelled
        self._thought = dict[bool, bool]()  # whether the last whole answer did, if asked to or not

    def opened(self, sampling: Sampling) -> bool | None:
        """What `split_thinking` is to know of the prompt: None while text may be thinking."""
        plain = self._thought.get(sampling.thinks) is False
        return False if self._labelled or plain else None

    def thought(self, sampling: Sampling) -> bool:
        """Whether the last whole answer with thinking on, or off, as in `sampling` had some."""
        return self._thought.get(sampling.thinks, False)

    def noting(self, events: Iterator[AnswerEvent], sampling: Sampling) -> Iterator[AnswerEvent]:
        """The events of an answer; notes whether there is thinking in it."""
        thought = False
        for event in events:
            if isinstance(event, Chunk):
                thought = thought or (event.kind == "thinking" and bool(event.text))
            elif thought or event.reason == "stop":
                self._thought[sampling.thinks] = thought
            yield event

    def learn(self, answer: Iterator[RawEvent], sampling: Sampling) -> None:
        """Read the answer to the trial as far as it takes to know whether it has thinking.

        Raises EndpointError if the server gives no answer; a refusal is the story's to tell.
        """
        said = ""
        with closing(answer):
            for event in answer:
                if isinstance(event, Finish):
                    _raise_broken(event)
                    if said.strip() and event.reason == "stop" and not _has_tag(said):
                        self._thought[sampling.thinks] = False
                    return
                said += event.text
                if event.kind == "thinking" or len(said) > ANSWER:
                    return


def _has_tag(text: str) -> bool:
    return any(tag in text for tag in (*TAGS, *CLOSING_TAGS))


def _raise_broken(finish: Finish) -> None:
    if isinstance(finish.error, EndpointError) and not finish.error.status:
        raise finish.error
