"""An answer over several requests: what goes on where one was cut or broke off, in Partial Mode. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kimi_wire import errors  # some of its names need the SDK, and import it when they are asked for
from kimi_wire.answers.holding import HeldThinking
from kimi_wire.answers.repeats import FreshDeltas, without_repetition
from kimi_wire.answers.response import FILTERED, INTERRUPTED, Choice, Completion, Usage, explain_empty, is_empty
from kimi_wire.answers.stream import Delta, StreamState
from kimi_wire.errors import KimiEmptyAnswerError, KimiError, KimiStreamError, StreamedError, attempt_of
from kimi_wire.json_values import JSON
from kimi_wire.log import log_answer
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
    if not (request.continuable and written) or choice.tool_calls or choice.refusal:
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
        retries: How often an empty answer may be asked for again, where the request says so.

    Attributes:
        request: The request to send; None when the answer is done.
    """

    def __init__(self, request: Request, retries: int = 0) -> None:
        self.request: Request | None = request
        self._attempts = 0
        self._response: Any = None
        self._answered = 0.0  # when its last response began, by the monotonic clock
        self._whole: Completion | None = None
        self._dropped: Choice | None = None  # what had come of an attempt that was begun anew
        self._names = request.plan.known.names
        self._fresh: FreshDeltas | None = None
        self._thinking: HeldThinking | None = None
        self._continues, self._resumes = request.continue_on_length, request.resume_streams
        self._takes_empty = request.empty_answers == "warn"
        self._retries = retries if request.empty_answers == "retry" else 0

    @property
    def completion(self) -> Completion:
        """The answer so far."""
        assert self._whole is not None
        return replace(self._whole, attempts=self._attempts)

    def sent(self, response: Any) -> Any:
        """Count the attempts that a response took."""
        self._attempts += attempt_of(response.request)
        self._response, self._answered = response, time.monotonic()
        return response

    def fail(self, error: Exception) -> Exception:
        """Give the failure of a request what had come of the answer before, and the attempts it took."""
        came = self._dropped if self._whole is None or _has_nothing(self._whole.choice) else self._whole.choice
        if came is not None:
            error.__dict__["partial"] = came
        if hasattr(error, "attempts"):
            error.attempts += self._attempts
        return self._with_own_names(error)

    def _with_own_names(self, error: Exception) -> Exception:
        """An error whose words, which are the server's, have the tools' own names."""
        if self._names:
            errors.reword(error, self._names.in_text)
        return error

    def take(self, completion: Completion) -> None:
        """Take the answer to `request`, and go on where it was cut by its token limit, or ask again if it is empty.

        Raises:
            KimiContentFilterError: The answer was filtered.
            KimiEmptyAnswerError: It is empty, and that is an error.
        """
        self._log(completion)
        came = self._without_repetition(completion)
        self._refuse_filtered(came)
        if not self._begins_anew(came, None):
            self._end(came)

    def reading(self, state: StreamState) -> Callable[[bytes], Iterator[Delta]]:
        """How to read the stream that answers `request`: from bytes to the deltas that can be given."""
        earlier = None if self._whole is None or _has_nothing(self._whole.choice) else self._whole.choice
        self._fresh = None if earlier is None else FreshDeltas(earlier)
        self._thinking = HeldThinking() if self._resumes or (self._retries and earlier is None) else None
        if self._fresh is None and self._thinking is None:
            return state.feed
        return lambda chunk: (given for delta in state.feed(chunk) for given in self._sift(delta))

    def _sift(self, delta: Delta) -> Sequence[Delta]:
        fresh = delta if self._fresh is None else self._fresh.take(delta)
        if fresh is None:
            return ()
        return (fresh,) if self._thinking is None else self._thinking.take(fresh)

    def _held_back(self) -> Iterator[Delta]:
        """What is left to be given of a stream that has ended."""
        if self._fresh is not None and (rest := self._fresh.end()) is not None:
            yield from (rest,) if self._thinking is None else self._thinking.take(rest)
        if self._thinking is not None:
            yield from self._thinking.end()

    def end_stream(self, state: StreamState, failure: Exception | None) -> Iterator[Delta | Completion]:
        """Take a stream that has ended, well or not, and go on where it broke off, or begin anew.

        Yields:
            What the end of the stream adds, and the whole answer where it is done.

        Raises:
            KimiError: The stream broke off and cannot be resumed, or may not be any more; the error has what had come.
                Or it is an answer that `take` refuses.
        """
        items: list[Delta | Completion] = []
        broken = failure
        if broken is None:
            try:
                items = list(state.finish())
            except KimiError as error:
                broken = error
        *late, whole = items or [state.so_far()]
        assert isinstance(whole, Completion)
        self._log(whole)
        finished = _partial_of(broken)
        came = self._without_repetition(whole if finished is None else replace(whole, choices=[finished]))
        if self._begins_anew(came, broken):
            return
        yield from self._held_back()
        self._refuse_filtered(came)
        if broken is not None:
            self._resume(came, broken)
            return
        yield from late
        self._end(came)
        if self.request is None:
            yield self.completion

    def _begins_anew(self, came: Completion, broken: Exception | None) -> bool:
        """Whether `request` is sent again: nothing of text or calls has come, so that nothing of it was given."""
        if not all(map(is_empty, came.choices)) or any(map(_has_ended, came.choices) if broken else ()):
            return False
        if broken is not None:
            again = self._resumes > 0 and isinstance(broken, KimiStreamError)
            self._resumes -= again
        else:
            begun = self._whole is not None and not is_empty(self._whole.choice)
            again = self._retries > 0 and not begun and came.choice.finish_reason not in ("length", FILTERED)
            self._retries -= again
        if again:
            self._drop(came)
        return again

    def _drop(self, came: Completion) -> None:
        """Leave an attempt out of the answer, but for what it cost."""
        self._dropped = came.choice
        if came.usage is not None:
            nothing = Completion(None, None, [Choice()], came.usage, raw_usage=came.raw_usage)
            self.request = self._add(nothing)

    def _resume(self, came: Completion, broken: Exception) -> None:
        """Go on where a stream broke off, or raise."""
        sent, following = self.request, None
        if self._resumes and isinstance(broken, KimiStreamError) and sent is not None and not _has_ended(came.choice):
            following = continue_request(sent, came.choice)
        if following is None:
            raise self._with_partial(broken, came.choice) from broken.__cause__
        self._resumes -= 1
        self._add(came)
        self.request = following

    def _end(self, came: Completion) -> None:
        """Add what came in full, and go on if it was cut by its token limit."""
        sent = self._add(came)
        if came.choice.finish_reason == "length" and self._continues and len(came.choices) == 1:
            self._continues -= 1
            self.request = continue_request(sent, came.choice)
        if self.request is None and not self._takes_empty and all(map(is_empty, self.completion.choices)):
            choice = self.completion.choice
            raise KimiEmptyAnswerError(
                explain_empty(choice) or "",
                request_id=came.request_id,
                partial=choice,
                is_retryable=choice.finish_reason != "length",
            )

    def _refuse_filtered(self, came: Completion) -> None:
        """Raise where the server's filter stopped an answer."""
        for choice in came.choices:
            if choice.finish_reason == FILTERED:
                error = errors.translate_stream_error(StreamedError(_FILTERED_ERROR), self._response, choice)
                error.__dict__["attempts"] = self._attempts
                raise self._with_partial(error, choice)

    def _with_partial(self, error: Exception, partial: Choice) -> Exception:
        """An error with all that had come of the answer."""
        if self._whole is not None:
            error.__dict__["partial"] = join_completions(self._whole, _only(partial)).choice
        return self._with_own_names(error)

    def _without_repetition(self, completion: Completion) -> Completion:
        """What came without what it repeats of the end of what had come before."""
        if self._whole is None:
            return completion
        first, *others = completion.choices
        return replace(completion, choices=[without_repetition(self._whole.choice, first), *others])

    def _log(self, came: Completion) -> None:
        log_answer(came.request_id, came.choice.finish_reason, came.raw_usage, self._answered)

    def _add(self, completion: Completion) -> Request:
        sent, self.request = self.request, None
        assert sent is not None
        self._whole = completion if self._whole is None else join_completions(self._whole, completion)
        return sent


_FILTERED_ERROR = {
    "type": FILTERED,
    "message": f"The server's content filter stopped the answer (finish_reason {FILTERED!r}): it is not whole",
}


def _has_nothing(choice: Choice) -> bool:
    return not (choice.content or choice.reasoning or choice.tool_calls or choice.refusal)


def _has_ended(choice: Choice) -> bool:
    """Whether it has its finish_reason. Nobody may rely on that without [DONE], but nothing goes on there either."""
    return choice.finish_reason is not None and choice.finish_reason not in INTERRUPTED


def _partial_of(error: Exception | None) -> Choice | None:
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
        refusal=second.refusal,
    )
    return replace(
        later,
        id=earlier.id or later.id,
        choices=[joined, *later.choices[1:]],
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
