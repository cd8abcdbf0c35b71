"""The built-in model: thinks aloud, calls tools, uses results and context, writes JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import brain, rules
from kimi_emulator.brain import chat, speech, values
from kimi_emulator.rules import schema as rules_schema
from kimi_emulator.scripting import Reply, ToolCall

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def tool(name: str, description: str, required: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    parameters = {"type": "object", "properties": properties, "required": needed}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = tool("get_weather", "Get the weather at a location.", location=STRING)
UNIT = {"type": "string", "enum": ["celsius", "fahrenheit"]}
WEATHER_UNIT = tool("get_weather", "Current weather for a city", ["city"], city=STRING, unit=UNIT)
TIME = tool("get_time", "Get the current time in a city", city=STRING)
ADD = tool("add", "Add two integers", a=INTEGER, b=INTEGER)
MAGIC = tool("magic_function", "Apply a magic function to an input.", input={**INTEGER, "exclusiveMaximum": 1000})
NO_ARGUMENTS = tool("ping_server", "Ping the server.")
GREETING = tool("greeting_generator", "Generate a greeting in a style of speaking.", answer_style=STRING)
CUSTOMER = tool("create_customer", "Create a customer.", customer_name=STRING, description=STRING)
EMAIL = tool("send_email", "Send an email", to=STRING, subject=STRING, body=STRING)
SEARCH = tool("search", "Search the web for information", query=STRING)


def think(question: str, tools: Any = (), history: Any = (), model: str = "kimi-k3", **fields: Any) -> Reply:
    messages = [*history, *([{"role": "user", "content": question}] if question else [])]
    body = {"model": model, "messages": messages, **({"tools": list(tools)} if tools else {}), **fields}
    request = rules.read_chat_request(body, extra_models={})
    for rule in rules.RULES:
        if rule not in rules_schema.RULES:  # prompts have schemas in them too, and those need not be in the dialect
            rule(request)
    return brain.answer(request)


def calls(reply: Reply) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in reply.tool_calls]


def loop(question: str, tools: Any, run: Callable[[ToolCall], str]) -> tuple[list[list[tuple[str, Any]]], str]:
    """Run a tool loop to its end; return the calls of each round and the answer."""
    history: list[dict[str, Any]] = [{"role": "user", "content": question}]
    rounds: list[list[tuple[str, Any]]] = []
    while len(rounds) < 8:
        reply = think("", tools, history)
        if not reply.tool_calls:
            return rounds, reply.content
        ids = [f"{len(rounds)}_{at}" for at in range(len(reply.tool_calls))]
        made = [
            {"id": id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for id, call in zip(ids, reply.tool_calls, strict=True)
        ]
        history.append({"role": "assistant", "tool_calls": made, "reasoning_content": reply.reasoning})
        history += [
            {"role": "tool", "tool_call_id": id, "content": run(call)}
            for id, call in zip(ids, reply.tool_calls, strict=True)
        ]
        rounds.append(calls(reply))
    raise AssertionError("the loop does not end")


@pytest.mark.parametrize(
    ("question", "tools", "expected"),
    [
        ("What is the weather in San Francisco, CA?", [WEATHER], [("get_weather", {"location": "San Francisco, CA"})]),
        (
            "What is the weather in Paris and Berlin?",
            [WEATHER, TIME],
            [("get_weather", {"location": "Paris"}), ("get_weather", {"location": "Berlin"})],
        ),
        (
            "What's the weather in Paris, Rome and New York?",
            [WEATHER],
            [("get_weather", {"location": place}) for place in ("Paris", "Rome", "New York")],
        ),
        (
            "Weather in Oslo in fahrenheit, please",
            [WEATHER_UNIT],
            [("get_weather", {"city": "Oslo", "unit": "fahrenheit"})],
        ),
        (
            "What's the weather in Paris and what time is it in Tokyo?",
            [WEATHER, TIME],
            [("get_weather", {"location": "Paris"}), ("get_time", {"city": "Tokyo"})],
        ),
        ("What is the value of magic_function(3)? Use the tool.", [MAGIC], [("magic_function", {"input": 3})]),
        ("What does ping_server() say? Use the tool.", [NO_ARGUMENTS], [("ping_server", {})]),
        (
            "Using the tool, generate a Pirate greeting.",
            [GREETING],
            [("greeting_generator", {"answer_style": "Pirate"})],
        ),
        (
            "Create a customer named '你好啊集团' (Hello Group) - a Chinese technology company",
            [CUSTOMER],
            [("create_customer", {"customer_name": "你好啊集团", "description": "a Chinese technology company"})],
        ),
        ("Who is the mayor of Berlin?", [SEARCH, WEATHER], [("search", {"query": "Who is the mayor of Berlin?"})]),
        ("请问杭州今天的天气怎么样？", [WEATHER, TIME], [("get_weather", {"location": "杭州"})]),
        (
            "北京和上海的天气怎么样？再查找一下“登月”。",
            [WEATHER, SEARCH],
            [*(("get_weather", {"location": place}) for place in ("北京", "上海")), ("search", {"query": "登月"})],
        ),
        ("17加25等于多少？把它们相加。", [ADD], [("add", {"a": 17, "b": 25})]),
        ("谁写了《红楼梦》？", [SEARCH], [("search", {"query": "红楼梦"})]),
    ],
)
def test_tool_calls(question: str, tools: Any, expected: Any) -> None:
    assert calls(think(question, tools)) == expected


@pytest.mark.parametrize("question", ["Hello!", "Tell me a joke about cats.", "Who wrote Faust?", "My name is Bob"])
def test_unrelated_tools_are_not_called(question: str) -> None:
    assert calls(think(question, [WEATHER, ADD, EMAIL])) == []


def test_forced_calls() -> None:
    off = {"model": "kimi-k2.6", "thinking": {"type": "disabled"}}
    assert len(calls(think("Hello!", [MAGIC, WEATHER], tool_choice="required"))) == 1
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert calls(think("Hello!", [MAGIC, WEATHER], tool_choice=named, **off))[0][0] == "get_weather"
    assert calls(think("Weather in Paris?", [WEATHER], tool_choice="none")) == []


def test_one_clause_may_have_two_steps() -> None:
    capital = tool("find_capital", "Find the capital of a country", country=STRING)
    forecast = tool("get_weather_forecast", "Forecast the weather of a location.", location=STRING)
    question, tools = "What is the weather in the capital of Norway?", [capital, WEATHER, forecast]
    assert calls(think(question, tools)) == [("find_capital", {"country": "Norway"})]
    history = [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "find_capital", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "Oslo"},
    ]  # fmt: skip
    assert calls(think("", tools, history)) == [("get_weather", {"location": "Oslo"})]
    history[-1]["content"] = "Error: no such country"
    assert calls(think("", tools, history)) == []
    plain = [{"role": "user", "content": "What is the weather in Oslo?"}, *history[1:]]
    plain[1]["tool_calls"][0]["function"]["name"] = "get_weather"
    plain[2]["content"] = "Sunny."
    assert calls(think("", tools, plain)) == [], "a tool for the same thing is not asked as well"


def test_a_number_that_a_job_lacks_is_one_that_came_back() -> None:
    distance = tool("find_distance", "Find the distance between two cities.", start=STRING, end=STRING)
    duration = tool("travel_time", "Calculate how long a drive takes.", kilometres={"type": "number"})
    handoff = tool("handoff", "Hand over to another agent: calculator.", to_agent=STRING)
    question = 'Find the distance from Oslo to Bergen, then hand off to "calculator" for the travel time.'
    first = think(question, [distance, handoff])
    assert calls(first) == [
        ("find_distance", {"start": "Oslo", "end": "Bergen"}),
        ("handoff", {"to_agent": "calculator"}),
    ]
    made = [
        {"id": call.name, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in first.tool_calls
    ]
    history = [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": made, "reasoning_content": "Two steps."},
        {"role": "tool", "tool_call_id": "find_distance", "content": "463"},
        {"role": "tool", "tool_call_id": "handoff", "content": "The calculator goes on."},
    ]
    assert calls(think("", [duration], history)) == [("travel_time", {"kilometres": 463})]
    assert think("", history=history).content == "Here is what I found: find_distance for Oslo and Bergen says: 463."


def test_results_are_quoted() -> None:
    _, answer = loop("What is the weather in Paris?", [WEATHER], lambda _: '{"sky": "clear", "degrees": 21}')
    assert "clear" in answer
    assert "21" in answer


@pytest.mark.parametrize("result", ["Error: Missing required argument 'b'.", '{"error": "no such place"}'])
def test_errors_are_told_and_not_retried(result: str) -> None:
    rounds, answer = loop("What is the weather in Paris?", [WEATHER], lambda _: result)
    assert len(rounds) == 1
    assert "error" in answer
    assert ("Missing" in answer) or ("no such place" in answer)


def test_thinking_speaks_of_the_question_and_the_tools() -> None:
    reasoning = think("What is the weather in Paris?", [WEATHER]).reasoning or ""
    assert all(said in reasoning for said in ("What is the weather in Paris?", "get_weather", "Paris"))


def test_effort_changes_how_long_it_thinks() -> None:
    lengths = [len(think("Why?", reasoning_effort=effort).reasoning or "") for effort in ("low", "high", "max")]
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize(
    ("model", "fields", "thinks"),
    [
        ("kimi-k3", {}, True),
        ("kimi-k2.7-code", {}, True),
        ("kimi-k2.6", {}, True),
        ("kimi-k2.6", {"thinking": {"type": "disabled"}}, False),
        ("kimi-k2.5", {"thinking": {"type": "disabled"}}, False),
        ("kimi-k2-thinking", {}, True),
        ("kimi-k2", {}, False),
        ("moonshot-v1-8k", {}, False),
    ],
)
def test_who_thinks(model: str, fields: dict[str, Any], thinks: bool) -> None:
    assert (think("Hello", model=model, **fields).reasoning is not None) == thinks


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Hello", "Hello! How can I help you today?"),
        ("how are you", "I'm doing well, thank you for asking! How can I help you today?"),
        ("What is 12*7?", "12*7 = 84"),
        ("What is 7 / 2?", "7 / 2 = 3.5"),
        ("my name is Bob", "Thanks, I will remember that your name is Bob."),
        ("Thanks!", "You're welcome! Is there anything else I can help you with?"),
    ],
)
def test_small_talk(question: str, said: str) -> None:
    assert think(question).content == said


def test_it_says_what_it_is() -> None:
    content = think("Write a story about a cat.").content
    assert "emulator" in content
    assert "Write a story about a cat." in content


@pytest.mark.parametrize(
    ("told", "question", "said"),
    [
        ("Hi, my name is Bob!", "What is my name?", "Your name is Bob."),
        ("My favourite colour is teal.", "What is my favourite colour?", "Your favourite colour is teal."),
        ("The secret code is 1234.", "What is the secret code?", "The secret code is 1234."),
    ],
)
def test_it_remembers(told: str, question: str, said: str) -> None:
    history = [{"role": "user", "content": told}, {"role": "assistant", "content": "I see."}]
    assert think(question, history=history).content == said


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What was my question?", 'You asked: "What is 12 * 12?"'),
        ("What did I just ask you?", 'You asked: "What is 12 * 12?"'),
        ("What was my first question?", 'You asked: "Hello"'),
    ],
)
def test_it_recalls_questions(question: str, said: str) -> None:
    turns = [("user", "Hello"), ("user", "What is 12 * 12?"), ("assistant", "12 * 12 = 144")]
    history = [{"role": role, "content": content} for role, content in turns]
    assert think(question, history=history).content == said
    assert "emulator" in think(question).content  # nothing was asked before


TEXT = (
    "file_path: towers.txt\n\nParis is the capital of France. The Eiffel Tower was built in 1889.\n"
    "Berlin is the capital of Germany. Cats sleep most of the day."
)
RULE = "---------------------"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("When was the Eiffel Tower built?", "The Eiffel Tower was built in 1889."),
        ("What is the capital of Germany?", "Berlin is the capital of Germany."),
        ("How much do cats sleep?", "Cats sleep most of the day."),
        ("Who invented the zipper?", "The context does not say anything about that."),
    ],
)
def test_questions_on_a_context(query: str, said: str) -> None:
    in_user = f"Context information is below.\n{RULE}\n{TEXT}\n{RULE}\nAnswer the query.\nQuery: {query}\nAnswer: "
    assert think(in_user).content == said
    labelled = f"Use the following pieces of context to answer.\nQuestion: {query}\nContext: {TEXT}\nAnswer:"
    assert think(labelled).content == said
    system = {"role": "system", "content": f"Use the context information below.\n{RULE}\n{TEXT}\n{RULE}"}
    assert think(query, history=[system]).content == said


def test_thinking_says_what_it_answers_from() -> None:
    thought = think(f"Context information is below.\n{RULE}\n{TEXT}\n{RULE}\nQuery: How much do cats sleep?\nAnswer: ")
    assert 'I was given 5 lines to answer from. The nearest is: "Cats sleep most of the day."' in (
        thought.reasoning or ""
    )


def test_tools_are_not_chosen_by_the_context() -> None:
    prompt = f"Context information is below.\n{RULE}\nThe weather is fine.\n{RULE}\nQuery: Who are you?\nAnswer: "
    assert calls(think(prompt, [WEATHER])) == []


def test_prompts_of_llama_index() -> None:
    prompts = pytest.importorskip("llama_index.core.prompts.default_prompts")
    refine = prompts.DEFAULT_REFINE_PROMPT.format(
        query_str="How tall is the Eiffel Tower?",
        existing_answer="It was built in 1889.",
        context_msg="Cats purr. The Eiffel Tower is 330 metres tall.",
    )
    assert think(refine).content == "The Eiffel Tower is 330 metres tall."
    useless = prompts.DEFAULT_REFINE_PROMPT.format(query_str="How?", existing_answer="So.", context_msg="Cats purr.")
    assert think(useless).content == "So."
    tree = prompts.DEFAULT_TREE_SUMMARIZE_PROMPT.format(context_str=TEXT, query_str="What is the capital of France?")
    assert think(tree).content == "Paris is the capital of France."


def test_condensed_questions() -> None:
    engine = pytest.importorskip("llama_index.core.chat_engine.condense_question")
    prompt = engine.DEFAULT_PROMPT.format(chat_history="user: Hi", question="Who painted Guernica?")
    assert think(prompt).content == "Who painted Guernica?"


def structured(schema: dict[str, Any], question: str, **fields: Any) -> Any:
    given = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return json.loads(think(question, response_format=given, **fields).content)


def objects(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


@pytest.mark.parametrize(
    ("schema", "question", "expected"),
    [
        (
            objects(name=STRING, age=INTEGER, city=STRING),
            "Alice is 30 years old and lives in Paris, France.",
            {"name": "Alice", "age": 30, "city": "Paris"},
        ),
        (objects(mood={"enum": ["happy", "sad"]}), "She was so sad.", {"mood": "sad"}),
        (objects(kind={"const": "a"}, n={"type": "null"}), "x", {"kind": "a", "n": None}),
        (objects(score={"type": "integer", "minimum": 3, "maximum": 5}), "Score 9", {"score": 5}),
        (objects(score={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}), "x", {"score": 0.001}),
        (objects(n={"anyOf": [{"type": "null"}, INTEGER]}), "x", {"n": None}),
        (objects(n={"anyOf": [INTEGER, {"type": "null"}]}), "4 apples", {"n": 4}),
        (objects(n={"type": ["integer", "null"]}), "x", {"n": None}),
        (objects(code={**STRING, "minLength": 3, "maxLength": 3}), 'Use "a"', {"code": "a.."}),
        (objects(xs={"type": "array", "items": INTEGER}), "Take 1, 2 and 3", {"xs": [1, 2, 3]}),
        (objects(xs={"type": "array", "items": STRING, "minItems": 2}), 'Take "a" and "b"', {"xs": ["a", "b"]}),
        (objects([], note={**STRING, "default": None}), "x", {}),
        (
            {**objects(a={"$ref": "#/$defs/A"}), "$defs": {"A": objects(b={"$ref": "#/$defs/B"}), "B": INTEGER}},
            "Take 7",
            {"a": {"b": 7}},
        ),
    ],
)
def test_structured_answers(schema: dict[str, Any], question: str, expected: Any) -> None:
    assert structured(schema, question) == expected


def test_recursive_schemas_end() -> None:
    node: dict[str, Any] = objects(["name"], name=STRING, child={"$ref": "#/$defs/Node"})
    assert structured({**node, "$defs": {"Node": node}}, "Draw a tree")["name"]
    forced = objects(child={"$ref": "#"})
    assert structured(forced, "Draw a tree") == {}
    endless = {"Endless": objects(child={"$ref": "#/$defs/Endless"})}
    optional = {**objects(["n"], tree={"$ref": "#/$defs/Endless"}, n=INTEGER), "$defs": endless}
    assert structured(optional, "Draw 3 trees") == {"n": 3}
    either = objects(child={"anyOf": [{"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}}]})
    pytest.importorskip("jsonschema").validate(structured(either, "Draw a tree"), either)


def test_tools_come_before_the_structured_answer() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": objects(city=STRING)}}
    assert calls(think("Weather in Oslo?", [WEATHER], response_format=schema))


@pytest.mark.parametrize(
    ("question", "keys"),
    [
        ("Tell me a joke about cats as JSON with 'setup' and 'punchline' keys.", ["setup", "punchline"]),
        ("Give me JSON with keys name, age and city for Alice", ["name", "age", "city"]),
        (f"Write JSON for this schema: {json.dumps(objects(title=STRING, year=INTEGER))}", ["title", "year"]),
        ("Say something", ["answer"]),
    ],
)
def test_json_mode(question: str, keys: list[str]) -> None:
    assert list(json.loads(think(question, response_format={"type": "json_object"}).content)) == keys


def test_a_schema_in_the_prompt_is_followed_without_json_mode() -> None:
    schema = json.dumps(objects(name=STRING, artist=STRING))
    prompt = f"Make up an album like The Shining.\n\nHere's a JSON schema to follow:\n{schema}\n\nOutput valid JSON."
    assert json.loads(think(prompt).content)["name"] == "The Shining"


def test_the_same_request_gets_the_same_answer() -> None:
    question = "What's the weather in Paris and what time is it in Tokyo?"
    assert think(question, [WEATHER, TIME, ADD]) == think(question, [WEATHER, TIME, ADD])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is 2 + 3 * 4?", ("2 + 3 * 4", 14)),
        ("7 / 2", ("7 / 2", 3.5)),
        ("-2 - -3", ("-2 - -3", 1)),
        ("1/0", None),
        ("1 +", None),
        ("", None),
        ("a + 1", None),
    ],
)
def test_sums(text: str, found: tuple[str, float] | None) -> None:
    assert values.sum_in(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I met John Smith at Acme Corp. on 2024-01-02.", ["John Smith", "Acme Corp"]),
        ("Compare Paris, Berlin and Rome", ["Paris", "Berlin", "Rome"]),
        ("What's up?", []),
        ("Please help me", []),
        ("Return JSON", []),
    ],
)
def test_names(text: str, found: list[str]) -> None:
    assert values.names(text) == found


def test_nested_arguments() -> None:
    order = tool(
        "order_pizza",
        "Order pizza",
        toppings={"type": "array", "items": {"enum": ["ham", "olives", "corn"], "type": "string"}},
        address=objects(city=STRING),
        extras={"type": "array", "items": objects(kind=STRING)},
        vegan={"type": "boolean"},
        level={"allOf": [{"$ref": "#/$defs/Level"}]},
    )
    order["function"]["parameters"]["$defs"] = {"Level": {"type": "string", "enum": ["mild", "hot"]}}
    ((name, given),) = calls(think("Order a hot pizza with corn and olives to Rome, not vegan", [order]))
    assert name == "order_pizza"
    assert given["toppings"] == ["olives", "corn"]
    assert given["address"] == {"city": "Rome"}
    assert (given["level"], given["vegan"]) == ("hot", False)
    assert isinstance(given["extras"], list)


def test_one_clause_may_only_name_the_tool() -> None:
    question = "What is the weather in Paris? Use get_weather for it."
    assert calls(think(question, [WEATHER, TIME])) == [("get_weather", {"location": "Paris"})]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("你好！", "你好！有什么可以帮你的？"),
        ("您好", "你好！有什么可以帮你的？"),
        ("你好吗？", "我很好，谢谢关心！"),
        ("谢谢！", "不客气！"),
        ("你是谁？", "我是 Kimi API 的本地模拟器"),
        ("9.11 和 9.9 哪个大？", "你问的是：“9.11 和 9.9 哪个大？”。我是 Kimi API 的本地模拟器"),
        ("17 * 23 等于多少？", "17 * 23 = 391"),
    ],
)
def test_a_chinese_question_is_answered_in_chinese(question: str, said: str) -> None:
    reply = think(question)
    assert reply.content.startswith(said)
    assert reply.reasoning == f"用户问：“{question}”。这里不需要工具。确认答案与问题相符，然后作答。"


def test_an_english_question_with_a_chinese_name_is_answered_in_english() -> None:
    assert think("Who wrote 红楼梦, and when?").content.startswith('You asked: "Who wrote 红楼梦, and when?".')


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("杭州：晴。", "结果如下：get_weather（杭州）返回：杭州：晴。"),
        ("Error: timeout", "没有成功：get_weather（杭州）报错：Error: timeout。"),
    ],
)
def test_results_are_told_in_chinese(result: str, said: str) -> None:
    rounds, answer = loop("杭州的天气怎么样？", [WEATHER], lambda call: result)
    assert rounds == [[("get_weather", {"location": "杭州"})]]
    assert answer == said


def test_questions_on_a_chinese_context() -> None:
    told = "月球没有大气层。月球的南极有水冰。火星有两颗卫星。"
    for question, said in (("月球哪里有水冰？", "月球的南极有水冰。"), ("木星呢？", "给出的内容里没有提到这一点。")):
        prompt = f"Context information is below.\n-----\n{told}\n-----\nQuery: {question}\nAnswer: "
        assert think(prompt).content == said


def test_values_of_a_chinese_sentence() -> None:
    properties = {"name": STRING, "country": STRING, "population": INTEGER}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    format = {"type": "json_schema", "json_schema": {"name": "City", "schema": schema, "strict": True}}
    reply = think("杭州是中国的一座城市，人口12000000。", response_format=format)
    assert json.loads(reply.content) == {"name": "杭州", "country": "中国", "population": 12000000}


def test_all_that_is_said_has_the_same_parts_in_chinese() -> None:
    for english, chinese in speech.CHINESE.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), english


def test_small_talk_is_all_there_in_chinese() -> None:
    assert {said for _, said in chat._SMALL_TALK} <= speech.CHINESE.keys()


def test_parts_and_media() -> None:
    message = {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": {"url": "ms://abc"}},
        ],
    }
    assert "1 attachment" in think("", history=[message]).content


def test_dynamic_tools_are_called() -> None:
    system = {"role": "system", "tools": [WEATHER]}
    assert calls(think("Weather in Oslo?", history=[system])) == [("get_weather", {"location": "Oslo"})]


def test_unknown_builtin_tools_are_never_called() -> None:
    other = {"type": "builtin_function", "function": {"name": "$code"}}
    assert calls(think("Who is the mayor of Berlin?", [other])) == []


def union_of_tools(*names: str) -> dict[str, Any]:
    branches = [objects(name={"type": "string", "enum": [name]}, arguments=objects(city=STRING)) for name in names]
    return objects(call={"anyOf": branches})


def test_unions_are_chosen_by_what_they_are_about() -> None:
    schema = union_of_tools("get_weather", "get_population")
    for question, name in (("Population of Paris?", "get_population"), ("Weather in Paris?", "get_weather")):
        assert structured(schema, question) == {"call": {"name": name, "arguments": {"city": "Paris"}}}


def test_what_is_forced_goes_on_after_a_result() -> None:
    answer = tool("Forecast", "The weather", city=STRING)
    history = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {
            "role": "assistant",
            "reasoning_content": "",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Sunny."},
    ]
    assert calls(think("", [WEATHER, answer], history, tool_choice="required"))[0][0] == "Forecast"
    assert structured(union_of_tools("get_weather", "Forecast"), "", history=history)["call"]["name"] == "Forecast"


FAITHFUL = (
    "Answer with either YES or NO.\nInformation: {}\nContext: It rains in Bergen on 239 days of the year.\nAnswer: "
)
RELEVANT = (
    "You have two options to answer. Either YES/ NO.\nQuery and Response: \n Question: How often does it rain in Bergen?\n"
    "Response: {}\nContext: \n It rains in Bergen on 239 days of the year.\nAnswer: "
)


@pytest.mark.parametrize("prompt", [FAITHFUL, RELEVANT])
@pytest.mark.parametrize(
    ("claim", "verdict"),
    [("In Bergen it rains on 239 days.", "YES"), ("In Bergen it rains on 12 days.", "NO"), ("Oslo is dry.", "NO")],
)
def test_claims_are_judged_by_their_context(prompt: str, claim: str, verdict: str) -> None:
    assert think(prompt.format(claim)).content == verdict


@pytest.mark.parametrize(
    ("answer", "points"), [("It rains on 239 days.", "5.0"), ("It rains.", "1.0"), ("It rains on 12 days.", "1.0")]
)
def test_answers_get_points_by_their_reference(answer: str, points: str) -> None:
    system = {"role": "system", "content": "Your score has to be between 1 and 5, where 1 is the worst."}
    question = (
        f"## User Query\nHow often?\n\n## Reference Answer\nIt rains on 239 days.\n\n## Generated Answer\n{answer}"
    )
    assert think(question, history=[system]).content.splitlines()[0] == points
