"""A conversation on its way out."""

from __future__ import annotations

import copy
import itertools
import json
import logging
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.errors import KimiRequestError
from kimi_wire.profiles import Profile, profile_for
from kimi_wire.requests.messages import fill_missing_reasoning, render_messages
from kimi_wire.requests.request import render_request
from kimi_wire.settings import Settings

Message = dict[str, Any]


def user(text: Any = "hi") -> Message:
    return {"role": "user", "content": text}


def calls(*ids: str | None, **fields: Any) -> Message:
    listed = [{"id": i, "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}} for i in ids]
    return {"role": "assistant", "content": "", "tool_calls": listed, **fields}


def answer(call_id: str, text: Any = "ok") -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def render(messages: list[Message], model: str = "kimi-k3", *, thinking: bool = True, **options: Any) -> list[Message]:
    before = copy.deepcopy(messages)
    rendered = render_all(messages, profile_for(model), thinking=thinking, **options)
    assert messages == before, "the caller's messages were changed"
    assert render_all(messages, profile_for(model), thinking=thinking, **options) == rendered
    return rendered


def render_all(
    messages: list[Message],
    profile: Profile,
    *,
    thinking: bool,
    missing_reasoning: str = "placeholder",
    preserved: bool = False,
    **options: Any,
) -> list[Message]:
    rendered = render_messages(messages, profile, **options)
    needed = thinking and profile.needs_reasoning
    return fill_missing_reasoning(rendered, missing_reasoning, preserved=preserved) if needed else rendered


def test_ordinary_messages_go_out_as_they_are() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "name": "ann"},
        {"role": "assistant", "content": "a", "reasoning_content": "r"},
        user(),
    ]
    assert render(messages) == messages


def test_developer_becomes_system() -> None:
    assert render([{"role": "developer", "content": "s"}, user()])[0] == {"role": "system", "content": "s"}


@pytest.mark.parametrize("role", ["function", "robot", None, ""])
def test_unknown_roles_are_refused(role: Any) -> None:
    with pytest.raises(KimiRequestError, match="Message 1 has the role"):
        render([user(), {"role": role, "content": "x"}])


def test_nothing_to_send_is_refused() -> None:
    with pytest.raises(KimiRequestError, match="no messages"):
        render([])
    with pytest.raises(KimiRequestError, match="nothing to send"):
        render([{"role": "assistant", "content": ""}])


@pytest.mark.parametrize("content", ["", " ", None, [], [{"type": "text", "text": ""}]])
def test_empty_assistant_messages_are_left_out(content: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    messages = [user(), {"role": "assistant", "content": content, "reasoning_content": "only thought"}, user()]
    assert render(messages) == [user(), user()]
    assert "left out 1 empty message" in caplog.text


@pytest.mark.parametrize("content", ["", None, [], [{"type": "text", "text": ""}]])
def test_empty_prompts(content: Any) -> None:
    assert render([{"role": "system", "content": content}, user()]) == [user()]
    with pytest.raises(KimiRequestError, match="Message 1 is from the user and empty"):
        render([user(), user(content)])


@pytest.mark.parametrize("content", ["", "\n ", None, [], [{"type": "text", "text": ""}], [""]])
def test_blank_text_beside_tool_calls_is_left_out(content: Any) -> None:
    message = render([user(), calls("a", content=content, reasoning_content="r"), answer("a")])[1]
    assert "content" not in message
    assert message["reasoning_content"] == "r"


def test_text_beside_tool_calls_stays() -> None:
    assert render([user(), calls("a", content="I look it up."), answer("a")])[1]["content"] == "I look it up."


def test_text_parts() -> None:
    assert render([user([{"type": "text", "text": "a"}])]) == [user("a")]
    assert render([user(["a"])]) == [user("a")]
    two = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert render([user([*two, {"type": "text", "text": ""}])]) == [user(two)]
    assert render([user(), calls("a"), answer("a", [])])[2]["content"] == ""
    assert render([user(), calls("a"), {"role": "tool", "tool_call_id": "a"}])[2]["content"] == ""


def test_media() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    video = {"type": "video_url", "video_url": "ms://file-1"}
    assert render([user([picture, video])]) == [user([picture, video])]
    with pytest.raises(KimiRequestError, match=r"'video_url', which k3-256k does not take"):
        render([user([video])], "k3-256k")
    with pytest.raises(KimiRequestError, match=r"'image_url', which kimi-k2 does not take"):
        render([user([picture])], "kimi-k2")
    with pytest.raises(KimiRequestError, match="fetches nothing from the web"):
        render([user([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])])
    with pytest.raises(KimiRequestError, match="part of type 'file'"):
        render([user([{"type": "file", "file": {}}])])


def test_media_of_tool_results_move_into_a_user_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    text = {"type": "text", "text": "A chart."}
    messages = [
        user(),
        calls("a", "b", "c"),
        answer("a", [text, picture]),
        answer("b", [picture]),
        answer("c", [text, text]),
    ]
    attached = [
        {"type": "text", "text": "Attached to the result of tool call a:"},
        picture,
        {"type": "text", "text": "Attached to the result of tool call b:"},
        picture,
    ]
    rendered = render([*messages, user("and?")])
    assert [message["content"] for message in rendered[2:5]] == [
        "A chart.\n(attached in the next user message)",
        "(attached in the next user message)",
        "A chart.\nA chart.",
    ]
    assert rendered[5:] == [{"role": "user", "content": attached}, user("and?")]
    assert render(messages)[5:] == [{"role": "user", "content": attached}]
    assert "moved the media" in caplog.text


def test_every_repair_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    broken = calls("a", content="\n")
    broken["tool_calls"][0]["function"]["arguments"] = "{oops"
    render(
        [{"role": "developer", "content": "s"}, user([{"type": "text", "text": ""}, {"type": "text", "text": "x"}]),
         broken, answer("a"), calls("a"), {"role": "assistant", "content": ""}],
        "kimi-k2.6",
        unanswered_tool_calls="repair",
    )  # fmt: skip
    for told in (
        "message 0: sent the role 'developer' as 'system'",
        "message 1: left out an empty text part",
        "message 2: left out the blank text beside its tool calls",
        "wrote the malformed arguments of tool call 'a' anew",
        "sent the tool call id 'a' as 'a_1'",
        "left out 1 empty message",
        "answered the tool calls ['a'] with an error",
        "calls tools without its reasoning: sent a placeholder",
    ):
        assert told in caplog.text


def test_repeated_ids_get_numbers_of_their_own() -> None:
    """Kimi counts ids anew in every answer; two equal ones in a conversation were refused."""
    messages = [
        user(),
        calls("f:0", "f:1"),
        answer("f:1", "second"),
        answer("f:0", "first"),
        calls("f:0"),
        answer("f:0", "third"),
        calls("call_x"),
        answer("call_x"),
        calls("call_x"),
        answer("call_x"),
    ]
    rendered = render(messages)
    sent = [[call["id"] for call in message.get("tool_calls", [])] for message in rendered]
    assert [ids for ids in sent if ids] == [["f:0", "f:1"], ["f:2"], ["call_x"], ["call_x_1"]]
    answered = [(message["tool_call_id"], message["content"]) for message in rendered if message["role"] == "tool"]
    assert answered == [("f:1", "second"), ("f:0", "first"), ("f:2", "third"), ("call_x", "ok"), ("call_x_1", "ok")]


@given(
    st.lists(
        st.sampled_from(
            ["f:0", "f:1", "f:2", "f:7", "f:03", "f_1", "x", "x_1", "x_2", "x_1_1", "f:999999999", "f:1000000000"]
        ),
        max_size=25,
    )
)
def test_a_repeated_id_gets_the_next_number_that_is_free(ids: list[str]) -> None:
    taken: list[str] = []
    for wanted in ids:
        stem, number = (wanted, 0)
        if numbered := re.fullmatch(r"(.*[:_])(\d{1,9})", wanted):
            stem, number = numbered[1], int(numbered[2])
        others = (f"{stem}{'' if numbered else '_'}{free}" for free in itertools.count(number + 1))
        taken.append(next(one for one in (wanted, *itertools.islice(others, 50)) if one not in taken))
    rendered = render([user(), *(message for one in ids for message in (calls(one), answer(one)))])
    assert [call["id"] for message in rendered for call in message.get("tool_calls", [])] == taken


def test_thousands_of_repeated_ids_take_time_as_their_number_does() -> None:
    def seconds(many: int) -> float:
        once = [message for one in range(many) for message in (calls(f"f:{one}"), answer(f"f:{one}"))]
        least = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            rendered = render_messages([user(), *once, *once], profile_for("kimi-k3"))
            least = min(least, time.thread_time() - begun)
        assert rendered[-1]["tool_call_id"] == f"f:{2 * many - 1}"
        return least

    assert seconds(4000) < 10 * seconds(1000)


def test_equal_and_missing_ids_in_one_answer_are_paired_in_order() -> None:
    rendered = render([user(), calls("f:0", "f:0", None), answer("f:0", "1"), answer("f:0", "2"), answer("", "3")])
    assert [call["id"] for call in rendered[1]["tool_calls"]] == ["f:0", "f:1", "f:2"]
    assert [(m["tool_call_id"], m["content"]) for m in rendered[2:]] == [("f:0", "1"), ("f:1", "2"), ("f:2", "3")]


@pytest.mark.parametrize("native", ["functions.read:0", "read_0", "t-web_search-69e395879d68", "call_1", "toolu_01A"])
def test_unique_ids_are_never_touched(native: str) -> None:
    rendered = render([user(), calls(native), answer(native)])
    assert rendered[1]["tool_calls"][0]["id"] == rendered[2]["tool_call_id"] == native


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([user(), calls("a", "b"), answer("a")], r"The tool calls \['b'\] have no answer"),
        ([user(), calls("a"), user()], r"The tool calls \['a'\] have no answer"),
        ([user(), answer("a")], "Message 1 answers the tool call 'a', which is not one"),
        ([user(), calls("a"), answer("a"), answer("a")], "Message 3 answers"),
        ([user(), calls("a"), answer("a"), user(), answer("a")], "Message 4 answers"),
        ([user(), calls("a"), {"role": "tool", "content": "x"}], "Message 2 answers the tool call None"),
    ],
)
def test_calls_and_answers_that_do_not_match_are_refused(messages: list[Message], message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        render(messages, unanswered_tool_calls="error")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"b":2,"a":1.0}', '{"b":2,"a":1.0}'),
        ("", "{}"),
        ('{"a": "line\nbreak"}', '{"a":"line\\nbreak"}'),
        ('{"a": 1', "{}"),
        ("[1]", "{}"),
        ("not json", "{}"),
    ],
)
def test_arguments_go_back_as_valid_json(written: str, sent: str) -> None:
    message = calls("a")
    message["tool_calls"][0]["function"]["arguments"] = written
    rendered = render([user(), message, answer("a")])[1]["tool_calls"][0]
    assert rendered == {"id": "a", "type": "function", "function": {"name": "f", "arguments": sent}}


THINKS_AND_INSISTS = ["kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k2-thinking"]


@pytest.mark.parametrize("model", [*THINKS_AND_INSISTS, "kimi-k3", "moonshot-v1-8k"])
def test_lost_reasoning(model: str) -> None:
    messages = [user(), {"role": "assistant", "content": "a"}, user(), calls("a"), answer("a")]
    rendered = render(messages, model)
    assert "reasoning_content" not in rendered[1], "plain turns never needed it"
    assert rendered[3].get("reasoning_content") == (" " if model in THINKS_AND_INSISTS else None)
    assert "reasoning_content" not in render(messages, model, missing_reasoning="omit")[3]
    assert "reasoning_content" not in render(messages, model, thinking=False)[3]
    if model in THINKS_AND_INSISTS:
        with pytest.raises(KimiRequestError, match="Message 3 calls tools but has lost its reasoning_content"):
            render(messages, model, missing_reasoning="error")


KEPT = {"type": "enabled", "keep": "all"}
OFF = {"type": "disabled"}


@pytest.mark.parametrize(
    ("settings", "plain", "calling"),
    [
        ({"model": "kimi-k2.7-code"}, " ", " "),
        ({"model": "kimi-k2.7-code", "missing_reasoning": "omit"}, None, None),
        ({"model": "kimi-k2.7-code", "dialect": "vllm"}, None, None),
        ({"model": "kimi-k2.6"}, None, " "),
        ({"model": "kimi-k2.6", "preserve_thinking": True}, " ", " "),
        ({"model": "kimi-k2.6", "preserve_thinking": True, "missing_reasoning": "omit"}, None, None),
        ({"model": "kimi-k2.6", "preserve_thinking": True, "thinking": False}, None, None),
        (
            {"model": "kimi-k2.6", "preserve_thinking": True, "dialect": "openrouter"},
            None,
            " ",
        ),  # it has no words for it
        ({"model": "kimi-k2.6", "preserve_thinking": True, "dialect": "dashscope"}, " ", " "),
        ({"model": "kimi-k2.6", "extra_body": {"thinking": KEPT}}, " ", " "),
        ({"model": "kimi-k2.6", "extra_body": {"thinking": OFF}}, None, None),
        ({"model": "kimi-k2.6", "preserve_thinking": True, "extra_body": {"thinking": {"type": "enabled"}}}, None, " "),
        ({"model": "kimi-k2.5", "preserve_thinking": True}, None, " "),
        ({"model": "kimi-k2-thinking"}, None, " "),
        ({"model": "kimi-k3"}, None, None),
        ({"model": "kimi-k3", "missing_reasoning": "placeholder"}, " ", " "),
        ({"model": "kimi-k3.1-pro", "missing_reasoning": "placeholder"}, " ", " "),
        ({"model": "kimi-k9", "missing_reasoning": "placeholder"}, " ", " "),
        ({"model": "kimi-k3", "missing_reasoning": "omit"}, None, None),
        ({"model": "moonshot-v1-8k", "missing_reasoning": "placeholder"}, None, None),
        ({"model": "gpt-5", "missing_reasoning": "placeholder"}, None, None),
    ],
    ids=str,
)
def test_which_messages_need_their_reasoning(settings: Any, plain: str | None, calling: str | None) -> None:
    example = {"role": "assistant", "content": "a"}
    messages = [user(), example, user(), calls("a"), answer("a"), user(), {**example, "reasoning_content": "r"}, user()]
    key = "reasoning" if settings.get("dialect") in ("vllm", "openrouter") else "reasoning_content"
    sent = render_request(Settings(**settings), messages, stream=False).body["messages"]
    assert [message.get(key) for message in sent] == [None, plain, None, calling, None, None, "r", None]
    if plain and "missing_reasoning" not in settings:
        with pytest.raises(KimiRequestError, match="Message 1 is an assistant's but has lost its reasoning_content"):
            render_request(Settings(**settings, missing_reasoning="error"), messages, stream=False)
    begun = [user(), {**example, "partial": True}]
    assert render_request(Settings(model="kimi-k2.7-code"), begun, stream=False).body["messages"] == begun
    unmarked = Settings(model="kimi-k2.7-code", extra_body={"partial": True})
    assert render_request(unmarked, [user(), example], stream=False).body["messages"] == begun


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
VIDEO = {"type": "video_url", "video_url": {"url": "ms://v1"}}


@pytest.mark.parametrize(
    ("model", "unseen"),
    [("kimi-k3", []), ("k3-256k", ["video"]), ("kimi-k2", ["image", "video"]), ("moonshot-v1-8k", ["image", "video"])],
)
def test_words_stand_for_old_pictures_before_a_model_without_eyes(model: str, unseen: list[str]) -> None:
    messages = [user([PICTURE, VIDEO, {"type": "text", "text": "Look."}]), {"role": "assistant", "content": "A cat."}]
    before = copy.deepcopy(messages)
    request = render_request(Settings(model=model), [*messages, user("And?")], stream=False)
    picture, video, text = request.body["messages"][0]["content"]
    assert text == {"type": "text", "text": "Look."}
    shown = {"image": "data:image/png;base64,...", "video": "ms://v1"}
    for kind, part, whole in (("image", picture, PICTURE), ("video", video, VIDEO)):
        if kind in unseen:
            words = json.loads(part["text"])
            assert words == {"type": f"{kind}_url", f"{kind}_url": {"url": shown[kind]}}
        else:
            assert part == whole
    named = ", ".join(f"the {kind} in message 0" for kind in unseen)
    assert [notice.message for notice in request.notices] == (
        [f"{model} does not take {named}; words say what was there."] if unseen else []
    )
    assert messages == before
    longer = [*messages, user("And?"), {"role": "assistant", "content": "b"}, user("So?")]
    assert render_request(Settings(model=model), longer, stream=False).body["messages"][:3] == request.body["messages"]
    if unseen:
        with pytest.raises(KimiRequestError, match=rf"the {unseen[0]} in message 0"):
            render_request(Settings(model=model, strict=True), [*messages, user("And?")], stream=False)
        for now in (messages[:1], [*messages, messages[0]], [*messages[:1], calls("a"), answer("a")]):
            with pytest.raises(KimiRequestError, match=rf"Message \d has a part of type '{unseen[0]}_url', which"):
                render_request(Settings(model=model), now, stream=False)


@pytest.mark.parametrize("reasoning", ["", " ", "because\n«月» \U0001f319"])
@pytest.mark.parametrize("model", THINKS_AND_INSISTS)
def test_known_reasoning_goes_back_byte_for_byte(model: str, reasoning: str) -> None:
    messages = [user(), calls("a", reasoning_content=reasoning), answer("a")]
    assert render(messages, model, missing_reasoning="error")[1]["reasoning_content"] == reasoning


def test_other_models_messages_are_only_copied() -> None:
    messages: list[Message] = [
        {"role": "developer", "content": ""},
        {"role": "assistant", "content": "", "tool_calls": []},
    ]
    sent = render_request(Settings(model="gpt-5"), messages, stream=False).body["messages"]
    assert sent == messages
    assert all(one is not other for one, other in zip(sent, messages, strict=True))


turns = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=5).map(lambda text: [user(text)]),
        st.text(max_size=5).map(lambda text: [{"role": "assistant", "content": text}]),
        st.lists(st.sampled_from(["f:0", "f:1", "g_0", "x"]), min_size=1, max_size=3).map(
            lambda ids: [calls(*ids), *(answer(call_id) for call_id in ids)]
        ),
    ),
    min_size=1,
    max_size=8,
)


@given(turns, st.sampled_from(["kimi-k2.6", "kimi-k3"]))
@pytest.mark.slow
def test_a_new_turn_leaves_every_earlier_byte(conversation: list[list[Message]], model: str) -> None:
    """The server's cache is by prefix: whatever is added, what was there must not change."""
    profile = profile_for(model)
    flat = [user(), *(message for turn in conversation for message in turn)]
    whole = render_all(flat, profile, thinking=True)
    ids = [call["id"] for message in whole for call in message.get("tool_calls", ())]
    assert len(ids) == len(set(ids))
    length = 1
    for turn in conversation:
        earlier = render_all(flat[:length], profile, thinking=True)
        assert json.dumps(whole).startswith(json.dumps(earlier)[:-1])
        length += len(turn)


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k3"])
@pytest.mark.slow
def test_long_histories_keep_every_earlier_byte(model: str) -> None:
    """An agent's history of a hundred rounds, with everything in it that is repaired, rendered after each round."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    history: list[Message] = [{"role": "developer", "content": "s"}, user()]
    earlier = ""
    for number in range(100):
        broken = calls("f:0", "f:1", reasoning_content=None if number % 3 else f"thought {number}")
        if number % 4 == 0:
            broken["tool_calls"][0]["function"]["arguments"] = '{"x": '
        history += [broken, answer("f:1", [picture] if number % 5 == 0 else ""), answer("f:0")]
        history += [
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": f"done {number}"},
            user(f"next {number}"),
        ]
        now = json.dumps(render_all(history, profile_for(model), thinking=True))
        assert now.startswith(earlier)
        earlier = now[:-1]
    assert earlier.count('"role": "tool"') == 200


RAW = '{"search_result": {"search_id":"\\u00e9"},  "usage":{"total_tokens":7946.0}}'


def search(call_id: str = "t-web_search-1", arguments: str = RAW, kind: str = "builtin_function") -> Message:
    function = {"name": "$web_search", "arguments": arguments}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": call_id, "type": kind, "function": function}]}


@pytest.mark.parametrize("kind", ["builtin_function", "function"])
@pytest.mark.parametrize(
    "answered", ["{}", "Error: $web_search is not a valid tool", "", [{"type": "text", "text": "x"}]]
)
def test_a_builtin_call_is_answered_with_its_arguments(kind: str, answered: Any) -> None:
    rendered = render([user(), search(kind=kind), answer("t-web_search-1", answered)])
    assert rendered[1]["tool_calls"][0] == {**search(kind=kind)["tool_calls"][0]}
    assert rendered[2] == {"role": "tool", "tool_call_id": "t-web_search-1", "name": "$web_search", "content": RAW}


def test_builtin_calls_of_one_id_are_answered_each_with_its_own() -> None:
    both = search(arguments='{"a":1}')
    both["tool_calls"] += search(arguments='{"b":2}')["tool_calls"]
    rendered = render([user(), both, answer("t-web_search-1"), answer("t-web_search-1")])
    assert [message["content"] for message in rendered[2:]] == ['{"a":1}', '{"b":2}']
    assert len({message["tool_call_id"] for message in rendered[2:]}) == 2


def test_builtin_calls_beside_others() -> None:
    both = calls("f:0")
    both["tool_calls"] += search()["tool_calls"]
    rendered = render([user(), both, answer("t-web_search-1", "x"), answer("f:0", "sunny")])
    assert [message["content"] for message in rendered[2:]] == [RAW, "sunny"]
    assert "name" not in rendered[3]


def test_an_unanswered_builtin_call_is_repaired_with_its_echo() -> None:
    rendered = render([user(), search(), user("go on")], unanswered_tool_calls="repair")
    assert rendered[2]["content"] == RAW
    with pytest.raises(KimiRequestError, match="have no answer"):
        render([user(), search(), user("go on")], unanswered_tool_calls="error")


def test_malformed_builtin_arguments_are_echoed_as_they_are_replayed() -> None:
    rendered = render([user(), search(arguments='{"a": "x\ny"}'), answer("t-web_search-1")])
    assert rendered[2]["content"] == rendered[1]["tool_calls"][0]["function"]["arguments"] == '{"a":"x\\ny"}'


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}


@pytest.mark.parametrize(
    "content", [{}, {"content": ""}, {"content": None}, {"content": []}, {"content": [{"type": "text", "text": ""}]}]
)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_messages_that_bring_tools_have_no_content(content: Message, role: str) -> None:
    (rendered,) = render([{"role": role, **content, "tools": [TOOL]}, user()])[:1]
    assert rendered == {
        "role": "system",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    }


def test_no_tools_are_no_dynamic_tools() -> None:
    assert render([{"role": "system", "content": "Be brief.", "tools": []}, user()], "kimi-k2.6") == [
        {"role": "system", "content": "Be brief."}, user(),
    ]  # fmt: skip
    assert render([{"role": "system", "tools": []}, user()]) == [user()]
