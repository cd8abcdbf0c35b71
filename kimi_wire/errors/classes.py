"""Errors and warnings that need no SDK: everything this project can know before or after talking to the server.

Errors that carry a server's answer live in `kimi_wire.errors.api`, which imports the openai SDK; this module does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

_Error = TypeVar("_Error", bound=Exception)


class KimiError(Exception):
    """Base of every error this project raises on its own account."""


class KimiMissingKeyError(KimiError):
    """No API key was given and none is in the environment.

    Not a `ValueError` on purpose: pydantic would swallow it into a `ValidationError` when a model is constructed.
    """


class KimiRequestError(KimiError, ValueError):
    """The request cannot be sent as asked; nothing was sent.

    The message names the offending setting, message or tool and says what to do instead.
    """


class KimiResponseError(KimiError):
    """The server answered with success, but the answer cannot be used.

    Args:
        message: What is wrong and what to do about it.
        request_id: The server's id of the request, where it sent one.
        partial: What had arrived (an object of the wire parser), where something had.
    """

    def __init__(self, message: str, *, request_id: str | None = None, partial: Any = None) -> None:
        super().__init__(f"{message} [request id: {request_id}]" if request_id else message)
        self.request_id = request_id
        self.partial = partial


class KimiStreamError(KimiResponseError):
    """A stream ended before its end: no `finish_reason`, no `[DONE]`, or the connection broke.

    What had arrived is not an answer. Asking again may succeed.
    """


class KimiEmptyAnswerError(KimiResponseError):
    """An answer has neither text nor a tool call, and `empty_answers` says that this is an error.

    Args:
        message: What is wrong and what to do about it.
        request_id: The server's id of the request, where it sent one.
        partial: The answer, with its thinking.
        is_retryable: Whether asking again may help: not where a token limit cut the answer.
    """

    def __init__(
        self, message: str, *, request_id: str | None = None, partial: Any = None, is_retryable: bool = True
    ) -> None:
        super().__init__(message, request_id=request_id, partial=partial)
        self.is_retryable = is_retryable


class KimiToolChoiceError(KimiResponseError, ValueError):
    """A tool call was forced and none came back; a `ValueError` too, as the frameworks' parsers raise there."""


class KimiRefusalError(KimiResponseError, ValueError):
    """The model declined to answer (`refusal`), where an object or a tool call had to come.

    A `ValueError` too, as what is raised where neither comes for another reason. Asking again is no use.
    """


class KimiWarning(UserWarning):
    """A setting was left out of a request, or an answer is not what it looks like. `strict=True` raises instead."""


class KimiFormulaError(KimiError):
    """An official tool ("Formula") could not be had, or its run failed.

    Args:
        message: What is wrong, with the server's words where it said any.
        uri: The formula, such as `moonshot/date:latest`.
        name: The tool; None where it is about the formula as a whole.
        fiber_id: The server's id of the run, where there was one.
    """

    def __init__(self, message: str, *, uri: str, name: str | None = None, fiber_id: str | None = None) -> None:
        super().__init__(message)
        self.uri = uri
        self.name = name
        self.fiber_id = fiber_id


class StreamedError(Exception):
    """An error event inside a stream that began with HTTP 200; the client turns it into the error it stands for.

    Args:
        error: The event's `error` value as sent: mostly `{"message": ..., "type": ...}`.
    """

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


def remade(error_class: type[_Error], args: Sequence[Any], state: Mapping[str, Any]) -> _Error:
    """Make an error of what another one held: the constructors of the SDK's classes want a response.

    Args:
        error_class: The class it is to have.
        args: The other's `args`.
        state: Its attributes.
    """
    error = error_class.__new__(error_class)
    error.args = tuple(args)
    error.__dict__.update(state)
    return error
