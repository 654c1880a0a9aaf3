"""An engine over a server that takes and gives token ids: `TokenEngine`.

It has the local engine's thinking budget, ends and continuation: where the server must not go on by
itself (the thinking is too long, the answer must not end yet), its answer is broken off, and a new
request continues from the token ids so far. Does not know any server's requests.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from polaris_cli.engines.base import Capabilities, Deviation, GenerationRequest, ModelInfo
from polaris_cli.engines.endpoint.prompts import (
    RemoteTokenizer,
    opens_thinking,
    pieces_of,
    prompt_ids,
    text_ids,
)
from polaris_cli.engines.thinking_budget import thinking_budget
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Finish, Piece, RawEvent, Reason, closing
from polaris_cli.request.prompts import Message, has_answer
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import Splitter, as_written, closing_tag


class TokenServer(RemoteTokenizer, Protocol):
    """A server that continues a text from its token ids."""

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling,
        max_tokens: int,
        *,
        may_end: bool = True,
        reuse: bool = True,
    ) -> Iterator[RawEvent]:
        """Yield what continues `ids`, then a `Finish` with "stop" or "length".

        Without `may_end`, end tokens are not sampled. `reuse` allows the cache of earlier requests.
        Raises EndpointError; closing the generator stops the server's work.
        """

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that the server does not apply as asked."""

    def close(self) -> None:
        """Close the connection, and stop the server if it is ours."""


class TokenEngine:
    """A model on a server; see `polaris_cli.engines.base.Engine`."""

    capabilities = Capabilities()

    def __init__(
        self,
        server: TokenServer,
        info: ModelInfo,
        context: int,
        load_seconds: float = 0.0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.info, self.context, self.load_seconds, self.notes = info, context, load_seconds, notes
        self._server = server
        self._opens: dict[bool, bool] = {}  # whether a prompt opens the thinking, by `thinks`
        tag = closing_tag(lambda text: len(server.tokenize(text)) == 1)
        alone, ids = server.tokenize(tag), tuple(server.tokenize(as_written(tag)))
        self._close_id = alone[0] if len(alone) == 1 else None
        self._closing = Piece(as_written(tag), len(ids), ids=ids)

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield the model's answer as it is generated, then one `Finish`."""
        answer = self._begin(request)
        error: PolarisError | None = None
        try:
            yield from self._chunks(answer)
        except (Exception, KeyboardInterrupt) as problem:
            yield from answer.splitter.flush()
            if not isinstance(problem, PolarisError):
                raise
            error = problem
        yield from answer.splitter.flush()
        yield Finish(answer.reason or "error", len(answer.prompt), error)

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a text within an answer."""
        return text_ids(self._server, text)

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """The length of the prompt for these messages, in tokens."""
        return len(prompt_ids(self._server, messages, thinking=sampling.thinks))

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that the server does not apply as the local engine does."""
        return self._server.deviations(sampling)

    def close(self) -> None:
        """Close the connection to the server."""
        self._server.close()

    def _begin(self, request: GenerationRequest) -> "_Answer":
        thinking = request.sampling.thinks
        if thinking not in self._opens:
            self._opens[thinking] = opens_thinking(self._server, thinking=thinking)
        inside = self._opens[thinking]
        prompt = prompt_ids(self._server, request.messages, thinking=thinking)
        if request.opening and inside:  # the thinking must be closed before an opening
            prompt += self._closing.ids
        prompt += request.opening
        return _Answer(request, prompt, inside and not request.opening, self.context, self._closing)

    def _chunks(self, answer: "_Answer") -> Iterator[Chunk]:
        """Yield the text of an earlier run, then that of as many requests as it takes."""
        after, before = answer.request.after, answer.prompt
        for piece in pieces_of(self._server, after, self._close_id, before):
            yield from answer.add(piece)
        while not answer.reason:
            end = yield from self._continue(answer)
            if answer.must_close or (end == "stop" and answer.splitter.inside):
                yield from answer.add(self._closing)
            elif end == "stop":
                answer.reason = "stop"

    def _continue(self, answer: "_Answer") -> Generator[Chunk, None, Reason]:
        """Yield the text of one request; return why it ended."""
        if answer.must_close:
            return "length"
        before, missing = len(answer.ids), answer.missing
        room = answer.limit - before
        tokens = self._server.generate(
            [*answer.prompt, *answer.ids],
            answer.sampling,
            min(room, missing) if missing else room,
            may_end=not missing,
            # A story's first request reads its whole prompt: a cache changes the last digits of
            # the logits, and the same seed must give the same story.
            reuse=bool(answer.ids) or has_answer(answer.request.messages),
        )
        end: Reason = "length"
        with closing(tokens):
            for event in tokens:
                if isinstance(event, Finish):
                    end = event.reason
                    break
                yield from answer.add(event)
                if answer.reason or answer.must_close:
                    return "length"
        if end == "length" and (not missing or len(answer.ids) == before):
            answer.reason = "length"
        return end


class _Answer:
    """The state of one answer: its token ids, its text, and whether it is finished."""

    def __init__(
        self,
        request: GenerationRequest,
        prompt: list[int],
        inside: bool,
        context: int,
        closing_tag: Piece,
    ) -> None:
        self.request, self.prompt, self.ids = request, prompt, list[int]()
        after = len(request.after)
        self._earliest_end = after + request.min_new_tokens
        self.limit = after + max(min(request.max_new_tokens, context - len(prompt) - after), 0)
        self.reason: Reason | None = None if self.limit else "length"
        self.splitter = Splitter(inside)
        self._budget = thinking_budget(request.sampling, self.limit, closing_tag.ids, self.splitter)

    @property
    def must_close(self) -> bool:
        """Whether the thinking budget is used up, so that the closing tag comes next."""
        return self._budget.used_up

    @property
    def missing(self) -> int:
        """How many tokens are missing before the answer may end."""
        return max(self._earliest_end - len(self.ids), 0)

    @property
    def sampling(self) -> Sampling:
        """The settings for the next token: their seed depends on its place, so that a request that
        goes on does not repeat the random numbers of the one before it."""
        return self.request.sampling.at(len(self.ids))

    def add(self, piece: Piece) -> Iterator[Chunk]:
        """Add the next piece; yield the chunks that it completes."""
        for id_ in piece.ids:
            self._budget.count()
            self.ids.append(id_)
        yield from self.splitter.feed(piece)
        if len(self.ids) >= self.limit:
            self.reason = "length"
