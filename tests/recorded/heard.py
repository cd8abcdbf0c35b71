"""What is heard of an answer, held to what the server said and to what the scenario expects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kimi_wire.errors.refusals import mask
from tests.conversations import Message
from tests.recorded.scenario import Endpoint, Scenario, read_answer
from tests.recorded.tape import Exchange, canonical

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


@dataclass
class Heard:
    """One answer, in neither framework's words.

    Attributes:
        text: The visible text.
        reasoning: The thinking; None where there is none.
        calls: The tool calls: names and parsed arguments.
        finish: The finish reason.
        usage: The counts by Kimi's names, those not reported left out.
        request_id: The server's id of the request.
        parsed: The structured answer, as a dict; the answer that it was read from is in the other fields.
        error: What was raised instead.
        warned: What was warned of.
    """

    text: str = ""
    reasoning: str | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    request_id: str | None = None
    parsed: Any = None
    error: Exception | None = None
    warned: list[str] = field(default_factory=list)

    @property
    def error_classes(self) -> list[str]:
        """The names of the error's classes that both adapters share, the narrowest first."""
        shared = (kind for kind in type(self.error).__mro__ if kind.__module__.partition(".")[0] == "kimi_wire")
        return [kind.__name__ for kind in shared]


def check_outcome(scenario: Scenario | Endpoint, outcome: Any, exchanges: Sequence[Exchange]) -> None:
    """Hold what came of a scenario to the recorded exchanges.

    Args:
        scenario: The scenario.
        outcome: What `tests.recorded.ways.play` gave.
        exchanges: The exchanges of its cassette.

    Raises:
        AssertionError: Something was lost, invented, or not as expected.
    """
    responses = [exchange["response"] for exchange in exchanges]
    told = [read_answer(response) for response in responses]
    request_ids = [response["headers"].get("msh-request-id") for response in responses]
    if isinstance(scenario, Scenario):
        check_heard(scenario, outcome, told, request_ids)
    elif scenario.error is not None:
        assert isinstance(outcome, Heard), "nothing was raised"
        _check_error(scenario.error, scenario.status, outcome, told[-1], request_ids[-1])
    else:
        _raise_unexpected(outcome)
        scenario.expect(outcome, exchanges)


def _raise_unexpected(outcome: Any) -> None:
    if isinstance(outcome, Heard) and outcome.error is not None:
        raise AssertionError(f"raised {outcome.error!r}") from outcome.error


def check_heard(
    scenario: Scenario, heard: Sequence[Heard], told: Sequence[Message], request_ids: Sequence[Any]
) -> None:
    """Hold what was heard to what the server said and to what the scenario expects.

    Args:
        scenario: The scenario.
        heard: What was heard to each question.
        told: What the server said in each answer, see `tests.recorded.scenario.read_answer`.
        request_ids: The server's id of each request.

    Raises:
        AssertionError: Something was lost, invented, or not as expected.
    """
    expect, last = scenario.expect, heard[-1]
    assert len(last.warned) == (expect.warns is not None), last.warned
    assert expect.warns is None or re.search(expect.warns, last.warned[0]), last.warned
    if expect.error is not None:
        _check_error(expect.error, expect.status, last, told[-1], request_ids[-1])
        return
    _raise_unexpected(last)
    if expect.parsed is not None:
        _check_parsed(expect.parsed, last.parsed, told[-1])
    if "continue_on_length" in scenario.settings:
        assert len(told) > 1, "nothing was continued"
        told, request_ids = [_joined(told)], request_ids[-1:]
    assert len(heard) == len(told)
    for one, said, request_id in zip(heard, told, request_ids, strict=True):
        _check_said(scenario, one, said)
        assert one.request_id == request_id
    assert last.finish in expect.finish
    assert re.search(expect.says, last.text) if expect.says else last.text == ""
    assert expect.thinks is None or bool(last.reasoning) == expect.thinks
    assert [name for name, _ in last.calls] == [name for name, _ in expect.calls]
    for (_, arguments), (_, patterns) in zip(last.calls, expect.calls, strict=True):
        assert set(arguments) == set(patterns)
        assert all(re.search(pattern, arguments[name]) for name, pattern in patterns.items()), arguments
    assert bool(last.usage.get("cached_tokens")) or not expect.cached


def _check_parsed(patterns: Mapping[str, str], parsed: Any, said: Message) -> None:
    """The object is the JSON that the server wrote: its text, or the arguments of its call."""
    calls = said.get("tool_calls")
    written = calls[0]["function"]["arguments"] if calls else said["content"]
    assert canonical(parsed) == canonical(json.loads(written))
    assert set(parsed) == set(patterns)
    for name, pattern in patterns.items():
        assert re.search(pattern, parsed[name]), parsed


def _check_said(scenario: Scenario, heard: Heard, said: Message) -> None:
    """Nothing the server said may be lost, and nothing be added but the prefix the caller gave."""
    text = scenario.settings.get("prefix", "") + said["content"]
    calls = [
        (made["function"]["name"], json.loads(made["function"]["arguments"])) for made in said.get("tool_calls", ())
    ]
    finish = said["finish_reason"]
    if scenario.golden.get("tool_choice") == "none":  # the call was written as JSON, under the tool's schema
        text, calls = "", [(scenario.settings["tool_choice"], json.loads(text))]
        finish = "tool_calls"
    assert heard.text == text
    assert heard.reasoning == said.get("reasoning_content")
    assert heard.calls == calls
    assert heard.finish == finish
    assert heard.usage == read_usage(said["usage"])


def read_usage(usage: Message) -> dict[str, int]:
    """The counts of a usage object by the names in `COUNTS`."""
    details = {
        "cached_tokens": usage.get("prompt_tokens_details", {}).get("cached_tokens", usage.get("cached_tokens")),
        "reasoning_tokens": usage.get("completion_tokens_details", {}).get("reasoning_tokens"),
    }
    counts = {**usage, **details}
    return {name: counts[name] for name in COUNTS if counts.get(name) is not None}


def _joined(told: Sequence[Message]) -> Message:
    """An answer that took several requests, as one."""
    counts = [read_usage(said["usage"]) for said in told]
    thoughts = [said["reasoning_content"] for said in told if "reasoning_content" in said]
    names = {name for count in counts for name in count}
    usage: Message = {name: sum(count.get(name, 0) for count in counts) for name in names}
    if "reasoning_tokens" in usage:
        usage["completion_tokens_details"] = {"reasoning_tokens": usage.pop("reasoning_tokens")}
    joined: Message = {"content": "".join(said["content"] for said in told), "usage": usage}
    if thoughts:
        joined["reasoning_content"] = "".join(thoughts)
    return {**joined, "finish_reason": told[-1]["finish_reason"]}


def _check_error(name: str, status: int | None, heard: Heard, said: Message, request_id: Any) -> None:
    assert heard.error is not None, "nothing was raised"
    assert heard.error_classes[:1] == [name], heard.error_classes
    assert getattr(heard.error, "status_code", None) == status
    assert heard.request_id == request_id
    words = said.get("error", {})
    assert mask(str(words.get("message", ""))) in str(heard.error)
    assert getattr(heard.error, "type", None) == words.get("type")
