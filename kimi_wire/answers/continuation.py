"""An answer over several requests: what goes on where one was cut or broke off, in Partial Mode. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kimi_wire.answers.repeats import FreshDeltas, without_repetition
from kimi_wire.answers.response import INTERRUPTED, Choice, Completion, Usage
from kimi_wire.answers.stream import Delta, StreamState
from kimi_wire.errors import KimiError, KimiStreamError, attempt_of, mask_all
from kimi_wire.json_values import JSON
from kimi_wire.requests import Request, is_begun, place_beginning, render_reasoning


def continue_request(request: Request, choice: Choice) -> Request | None:
    """The request that goes on where an answer stopped.

    Args:
        request: The request whose answer stopped.
        choice: What had come, its prefix included.

    Returns:
        A request for the rest; None where there is no safe one: nothing of the text had come, a tool call was under
        way, the text was to be JSON under a format, or the model has no Partial Mode.
    """
    *messages, last = request.body["messages"]
    if not is_begun(request.body):
        messages, last = [*messages, last], {"role": "assistant", "content": ""}
    written = choice.content.removeprefix(request.prefix)
    if not (request.continuable and written) or choice.tool_calls:
        return None
    beginning = {**last, "content": last["content"] + written, "partial": True}
    if choice.reasoning is not None:
        # "In thinking mode, a continuation needs the reasoning_content of the turn before" (the guide, in Chinese).
        beginning["reasoning_content"] = choice.reasoning
        if choice.reasoning_details:
            beginning["reasoning_details"] = choice.reasoning_details
        beginning = render_reasoning(beginning, request.host)
    body = place_beginning({**request.body, "messages": [*messages, beginning]}, request.host)
    return replace(request, body=body, prefix="")


class Answer:
    """One answer in the making, over as many requests as it takes.

    Send `request`, and hand over what came of it, until there is no next one.

    Args:
        request: The first request.

    Attributes:
        request: The request to send; None when the answer is done.
    """

    def __init__(self, request: Request) -> None:
        self.request: Request | None = request
        self._attempts = 0
        self._whole: Completion | None = None
        self._names = request.plan.known.names
        self._fresh: FreshDeltas | None = None
        self._continues, self._resumes = request.continue_on_length, request.resume_streams

    @property
    def completion(self) -> Completion:
        """The answer so far."""
        assert self._whole is not None
        return replace(self._whole, attempts=self._attempts)

    def sent(self, response: Any) -> Any:
        """Count the attempts that a response took."""
        self._attempts += attempt_of(response.request)
        return response

    def fail(self, error: Exception) -> Exception:
        """Give the failure of a request what had come of the answer before, and the attempts it took."""
        if self._whole is not None:
            error.__dict__["partial"] = self._whole.choice
        if hasattr(error, "attempts"):
            error.attempts += self._attempts
        return self._with_own_names(error)

    def _with_own_names(self, error: Exception) -> Exception:
        """An error whose words, which are the server's, have the tools' own names."""
        if self._names:
            error.args = tuple(mask_all(list(error.args), self._names.in_text))
            for part in vars(error).keys() & {"message", "body"}:
                error.__dict__[part] = mask_all(error.__dict__[part], self._names.in_text)
        return error

    def take(self, completion: Completion) -> None:
        """Take the answer to `request`, and go on where it was cut by its token limit."""
        completion = self._without_repetition(completion)
        sent = self._add(completion)
        if completion.choice.finish_reason == "length" and self._continues and len(completion.choices) == 1:
            self._continues -= 1
            self.request = continue_request(sent, completion.choice)

    def reading(self, state: StreamState) -> Callable[[bytes], Iterator[Delta]]:
        """How to read the stream that answers `request`: from bytes to the deltas of what is new."""
        self._fresh = None if self._whole is None else FreshDeltas(self._whole.choice)
        return state.feed if self._fresh is None else lambda chunk: self._read(state, chunk)

    def _read(self, state: StreamState, chunk: bytes) -> Iterator[Delta]:
        assert self._fresh is not None
        for delta in state.feed(chunk):
            if (fresh := self._fresh.take(delta)) is not None:
                yield fresh

    def end_stream(self, state: StreamState, failure: Exception | None) -> Iterator[Delta | Completion]:
        """Take a stream that has ended, well or not, and go on where it broke off.

        Yields:
            What the end of the stream adds, and the whole answer where it is done.

        Raises:
            KimiError: The stream broke off and cannot be resumed, or may not be any more; the error has what had come.
        """
        if self._fresh is not None and (held := self._fresh.end()) is not None:
            yield held
        try:
            if failure is not None:
                raise failure
            *late, completion = state.finish()
        except KimiStreamError as error:
            self._resume(error, state.so_far())
            return
        except KimiError as error:
            came = _partial_of(error)
            raise self._with_partial(error, came and self._without_repetition(_only(came)).choice) from error.__cause__
        yield from late
        assert isinstance(completion, Completion)
        self.take(completion)
        if self.request is None:
            yield self.completion

    def _resume(self, error: KimiStreamError, came: Completion) -> None:
        came = self._without_repetition(came)
        sent, partial = self.request, came.choice
        nothing_came = not (partial.content or partial.reasoning or partial.tool_calls)
        following = sent if nothing_came or sent is None else continue_request(sent, partial)
        # What has its finish_reason is at its end, though nobody may rely on it without [DONE]: nothing goes on there.
        ended = partial.finish_reason is not None and partial.finish_reason not in INTERRUPTED
        if not self._resumes or following is None or ended:
            raise self._with_partial(error, partial)
        self._resumes -= 1
        if not nothing_came or came.usage is not None:
            self._add(came)
        self.request = following

    def _with_partial(self, error: Exception, partial: Choice | None) -> Exception:
        """An error with all that had come of the answer."""
        if self._whole is not None:
            came = self._whole if partial is None else join_completions(self._whole, _only(partial))
            error.__dict__["partial"] = came.choice
        return self._with_own_names(error)

    def _without_repetition(self, completion: Completion) -> Completion:
        """What came without what it repeats of the end of what had come before."""
        if self._whole is None:
            return completion
        first, *others = completion.choices
        return replace(completion, choices=[without_repetition(self._whole.choice, first), *others])

    def _add(self, completion: Completion) -> Request:
        sent, self.request = self.request, None
        assert sent is not None
        self._whole = completion if self._whole is None else join_completions(self._whole, completion)
        return sent


def _partial_of(error: Exception) -> Choice | None:
    partial = getattr(error, "partial", None)
    return partial if isinstance(partial, Choice) else None


def _only(choice: Choice) -> Completion:
    return Completion(id=None, model=None, choices=[choice], usage=None)


def join_completions(earlier: Completion, later: Completion) -> Completion:
    """One answer out of two, of which the second goes on where the first stopped: texts and counts are added up."""
    first, second = earlier.choice, later.choice
    thoughts = [text for text in (first.reasoning, second.reasoning) if text is not None]
    probabilities = [*_tokens(first.logprobs), *_tokens(second.logprobs)]
    joined = Choice(
        content=first.content + second.content,
        reasoning="".join(thoughts) if thoughts else None,
        reasoning_details=[*first.reasoning_details, *second.reasoning_details],
        tool_calls=[*first.tool_calls, *second.tool_calls],
        finish_reason=second.finish_reason,
        logprobs={"content": probabilities} if probabilities else None,
    )
    return replace(
        later,
        id=earlier.id or later.id,
        choices=[joined],
        usage=_add_usage(earlier.usage, later.usage),
        raw_usage=_add_counts(earlier.raw_usage, later.raw_usage),
    )


def _tokens(logprobs: Any) -> list[Any]:
    return list(logprobs.get("content") or ()) if isinstance(logprobs, Mapping) else []


def _add_usage(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    counts: JSON = {}
    for name in Usage.__dataclass_fields__:
        known = [count for count in (getattr(first, name), getattr(second, name)) if count is not None]
        counts[name] = sum(known) if known else None
    return Usage(**counts)


def _add_counts(first: Any, second: Any) -> Any:
    """Add up two usage objects as the server sent them."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: _add_counts(first.get(key), second.get(key)) for key in {**first, **second}}
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    return second if first is None else first
