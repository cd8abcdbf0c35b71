"""The built-in model: small heuristics that make demos worth watching and let framework tests run.

It thinks aloud about the question and the tools at hand, calls tools that fit, answers from their results, from the
context of the prompt or from the conversation, and writes JSON by schema. It knows nothing of the world and says so.
The same request always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ..request import ChatRequest, function_of, text_of
from ..scripting import Reply, ToolCall, arguments_text
from ..state import Upload
from ..text import best_sentences, is_chinese, join, sentences, shorten
from . import chat, context, json_answers, judge, partial
from .speech import say
from .tools import plan
from .view import Tool, View, read


def answer(request: ChatRequest, uploads: Mapping[str, Upload] = MappingProxyType({})) -> Reply:
    """Answer a chat request.

    Args:
        request: The request.
        uploads: The files that its `ms://` ids may name.
    """
    if request.partial is not None:
        return _go_on(request, request.partial, uploads)
    view = read(request, uploads)
    calls = _choose_calls(request, view)
    content = "" if calls else _say(request, view)
    reasoning = _think(view, calls, request.effort) if request.thinking else None
    return Reply(content, reasoning=reasoning, tool_calls=calls)


def _go_on(request: ChatRequest, begun: Mapping[str, object], uploads: Mapping[str, Upload]) -> Reply:
    """Go on from the beginning of an answer: think unless that was done before, then say what is missing.

    A thinking model thinks first, unless the message brings the reasoning of the answer it continues: the guide has
    it sent along (https://platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api). Whether the answer then
    has an empty `reasoning_content` is not documented; here it has none, because an empty one stands for a thought
    that was empty. Given reasoning is taken as complete, also where it was cut.

    With `json_object`, https://platform.kimi.ai/docs/api/partial: "Do not mix Partial Mode with
    response_format=json_object, or you may get unexpected model responses". The surprise here is a whole object,
    begun anew after the prefix.
    """
    whole = answer(request.unbegun, uploads)
    if begun.get("reasoning_content") is not None:
        whole = replace(whole, reasoning=None)
    response_format = request.body.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if whole.tool_calls or kind == "json_object":
        return whole
    if kind == "json_schema":
        return replace(whole, content=partial.go_on(text_of(begun), [whole.content]))
    answers = [whole.content, json_answers.with_named_keys(read(request.unbegun, uploads))]
    return replace(whole, content=partial.go_on(text_of(begun), answers, in_role=bool(begun.get("name"))))


def _choose_calls(request: ChatRequest, view: View) -> list[ToolCall]:
    choice = request.body.get("tool_choice")
    tools: Sequence[Tool] = () if choice == "none" else view.tools
    if isinstance(choice, Mapping):
        tools = [tool for tool in tools if tool.name == function_of(choice).get("name")]
    forced = choice == "required" or isinstance(choice, Mapping)
    if not tools:
        return []
    calls = plan(_task(view), tools, view.calls, forced)
    return [replace(call, type="builtin_function") if call.name.startswith("$") else call for call in calls]


def _task(view: View) -> str:
    """Return what tools are chosen by: the question, without a context it may bring along."""
    return context.split(view)[1]


def _say(request: ChatRequest, view: View) -> str:
    written = json_answers.answer(request, view)
    if written is not None:
        return written
    if view.calls:
        return chat.from_results(view.question, view.calls)
    return judge.answer(view) or context.answer(view) or chat.chat(view)


def _look_around(view: View) -> str:
    """Say what there is to answer from where there are no tools."""
    text, asked = context.split(view)
    if text is not None:
        lines = sentences(text)
        said, nearest = "I was given {number} lines to answer from.", best_sentences(asked, lines, limit=1)
        if not nearest:
            return say(asked, said, number=len(lines))
        return say(asked, f'{said} The nearest is: "{{line}}"', number=len(lines), line=shorten(nearest[0], 100))
    return say(asked, "I look at what the picture shows." if view.media else "No tool is needed for this.")


def _think(view: View, calls: Sequence[ToolCall], effort: str) -> str:
    """Think aloud: one sentence at low effort, a little more at each level."""
    asked = _task(view)
    thoughts = [say(asked, 'The user asks: "{question}".', question=shorten(asked, 100))]
    if view.calls:
        failed = [call.name for call in view.calls if chat.is_error(call.result)]
        seen = join(list(dict.fromkeys(call.name for call in view.calls)))
        result = shorten(view.calls[-1].result, 80)
        thoughts.append(say(asked, "I have seen what {names} returned: {result}.", names=seen, result=result))
        if failed:
            guess = "{names} reported an error, so I should say so instead of guessing."
            thoughts.append(say(asked, guess, names=join(failed)))
    elif view.tools:
        names = join([tool.name for tool in view.tools[:6]])
        thoughts.append(say(asked, "The tools at hand are {names}.", names=names))
    if calls:
        named = join([f"{call.name}({arguments_text(call)})" for call in calls])
        thoughts.append(say(asked, "I will call {names}.", names=named))
        thoughts.append(say(asked, "Once the results are there, I can answer."))
    else:
        thoughts.append(say(asked, "No further tool is needed.") if view.tools else _look_around(view))
        thoughts.append(say(asked, "Let me check that the answer fits the question, then give it."))
    told = thoughts[:1] if effort == "low" else thoughts[:-1] if effort == "high" else thoughts
    return ("" if is_chinese(asked) else " ").join(told)
