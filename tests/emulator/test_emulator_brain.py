"""The built-in model: thinks aloud, calls tools, uses results and context, writes JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import brain, rules
from kimi_emulator.brain import arithmetic, values
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
MULTIPLY = tool("multiply", "Multiply two integers", a=INTEGER, b=INTEGER)
MAGIC = tool("magic_function", "Apply a magic function to an input.", input={**INTEGER, "exclusiveMaximum": 1000})
NO_ARGUMENTS = tool("ping_server", "Ping the server.")
GREETING = tool("greeting_generator", "Generate a greeting in a style of speaking.", answer_style=STRING)
CUSTOMER = tool("create_customer", "Create a customer.", customer_name=STRING, description=STRING)
EMAIL = tool("send_email", "Send an email", to=STRING, subject=STRING, body=STRING)
SEARCH = tool("search", "Search the web for information", query=STRING)
CALCULATOR = tool("calculator", "Evaluate arithmetic", expression=STRING)
FLIGHT = tool(
    "book_flight", "Book a flight", ["destination", "date"], destination=STRING, date=STRING, passengers=INTEGER
)


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


def calculate(call: ToolCall) -> str:
    assert isinstance(call.arguments, dict)
    a, b = call.arguments.values()
    return str(a + b if call.name == "add" else a * b)


@pytest.mark.parametrize(
    ("question", "tools", "expected"),
    [
        ("What is the weather in San Francisco, CA?", [WEATHER], [("get_weather", {"location": "San Francisco, CA"})]),
        ("weather in tokyo today", [WEATHER], [("get_weather", {"location": "tokyo"})]),
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
            "What is 1 + 2",
            [tool("my_adder_tool", "Adds.", a=INTEGER, b=INTEGER)],
            [("my_adder_tool", {"a": 1, "b": 2})],
        ),
        ("What is 12 * 7?", [CALCULATOR], [("calculator", {"expression": "12 * 7"})]),
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
        (
            "Send an email to bob@example.org about the meeting saying 'See you at 5'",
            [EMAIL],
            [("send_email", {"to": "bob@example.org", "subject": "the meeting", "body": "See you at 5"})],
        ),
        (
            "Book a flight to Lisbon on 2026-12-24 for 3 passengers",
            [FLIGHT],
            [("book_flight", {"destination": "Lisbon", "date": "2026-12-24", "passengers": 3})],
        ),
        ("Who is the mayor of Berlin?", [SEARCH, WEATHER], [("search", {"query": "Who is the mayor of Berlin?"})]),
        ("multiply 3 by 4 and 5 by 6", [MULTIPLY], [("multiply", {"a": 3, "b": 4}), ("multiply", {"a": 5, "b": 6})]),
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


def test_steps_wait_for_each_other() -> None:
    rounds, answer = loop("What is (121 + 2) * 5?", [MULTIPLY, ADD], calculate)
    assert rounds == [[("add", {"a": 121, "b": 2})], [("multiply", {"a": 123, "b": 5})]]
    assert "615" in answer


def test_a_clause_may_refer_to_the_result_before() -> None:
    rounds, answer = loop("Add 3 and 4, then multiply the result by 2", [ADD, MULTIPLY], calculate)
    assert rounds == [[("add", {"a": 3, "b": 4})], [("multiply", {"a": 7, "b": 2})]]
    assert "14" in answer


def test_a_result_may_be_sent_on() -> None:
    question = "What's the weather in Oslo? Email it to bob@example.org"
    rounds, _ = loop(question, [WEATHER, EMAIL], lambda call: "Snow." if call.name == "get_weather" else "sent")
    assert [name for made in rounds for name, _ in made] == ["get_weather", "send_email"]
    assert rounds[1][0][1]["body"] == "Snow."


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


def test_results_are_quoted() -> None:
    _, answer = loop("What is the weather in Paris?", [WEATHER], lambda _: '{"sky": "clear", "degrees": 21}')
    assert "clear" in answer
    assert "21" in answer


def test_results_take_the_form_asked_for() -> None:
    question = "Use the add tool to compute 2 + 3. After the tool result arrives, respond with 'sum=<value>'."
    assert loop(question, [ADD], calculate)[1] == "sum=5"


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
        ("my name is Bob", "Nice to meet you, Bob! How can I help you?"),
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
        ("Hi, I'm Alice", "What's my name again?", "Your name is Alice."),
        ("My favourite colour is teal.", "What is my favourite colour?", "Your favourite colour is teal."),
        ("The secret code is 1234.", "What is the secret code?", "The secret code is 1234."),
    ],
)
def test_it_remembers(told: str, question: str, said: str) -> None:
    history = [{"role": "user", "content": told}, {"role": "assistant", "content": "I see."}]
    assert think(question, history=history).content == said


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
    assert think(refine).content == "It was built in 1889. The Eiffel Tower is 330 metres tall."
    useless = prompts.DEFAULT_REFINE_PROMPT.format(query_str="How?", existing_answer="So.", context_msg="Cats purr.")
    assert think(useless).content == "So."
    tree = prompts.DEFAULT_TREE_SUMMARIZE_PROMPT.format(context_str=TEXT, query_str="What is the capital of France?")
    assert think(tree).content == "Paris is the capital of France."
    summary = think(prompts.DEFAULT_SUMMARY_PROMPT.format(context_str=TEXT)).content
    assert summary
    assert set(summary.split()) <= set(TEXT.split())
    words = think(prompts.DEFAULT_KEYWORD_EXTRACT_TEMPLATE.format(text=TEXT, max_keywords=2)).content
    assert words == "KEYWORDS: paris, capital"
    choices = "(1) About cats\n\n(2) About France\n"
    choose = prompts.DEFAULT_QUERY_PROMPT.format(num_chunks=2, context_list=choices, query_str="What is in France?")
    assert think(choose).content.startswith("ANSWER: 2\n")


def test_condensed_questions() -> None:
    engine = pytest.importorskip("llama_index.core.chat_engine.condense_question")
    prompt = engine.DEFAULT_PROMPT.format(
        chat_history="user: Tell me about Paris\nassistant: Paris is in France.", question="How many people live there?"
    )
    assert think(prompt).content == "How many people live in Paris?"
    standalone = engine.DEFAULT_PROMPT.format(chat_history="user: Hi", question="Who painted Guernica?")
    assert think(standalone).content == "Who painted Guernica?"


def test_react() -> None:
    react = pytest.importorskip("llama_index.core.agent.react.output_parser")
    formatter = pytest.importorskip("llama_index.core.agent.react.formatter").ReActChatFormatter()
    function_tool = pytest.importorskip("llama_index.core.tools").FunctionTool
    message = pytest.importorskip("llama_index.core.llms").ChatMessage

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def multiply(a: int, b: int) -> int:
        """Multiply two numbers."""
        return a * b

    tools = [function_tool.from_defaults(add), function_tool.from_defaults(multiply)]
    said = [
        {"role": str(entry.role.value), "content": entry.content}
        for entry in formatter.format(tools, [message(role="user", content="What is (1 + 2) * 5?")])
    ]
    for expected in ({"a": 1, "b": 2}, {"a": 3, "b": 5}):
        content = think("", history=said).content
        step = react.ReActOutputParser().parse(content)
        assert step.action_input == expected
        result = calculate(ToolCall(step.action, step.action_input))
        said += [{"role": "assistant", "content": content}, {"role": "user", "content": f"Observation: {result}"}]
    step = react.ReActOutputParser().parse(think("", history=said).content)
    assert step.is_done
    assert "15" in step.response


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
            {"name": "Alice", "age": 30, "city": "Paris, France"},
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
    ("expression", "value"), [("2 + 3 * 4", 14), ("(2+3)×4", 20), ("7 ÷ 2", 3.5), ("2^10", 1024), ("1/0", None)]
)
def test_arithmetic(expression: str, value: float | None) -> None:
    assert arithmetic.evaluate(expression) == value


@pytest.mark.parametrize("expression", ["9**9**9**9", "1 +", "", "x", "a + 1"])
def test_what_cannot_be_worked_out(expression: str) -> None:
    assert arithmetic.evaluate(expression) is None
    assert arithmetic.steps(expression) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I met John Smith at Acme Corp. on 2024-01-02.", ["John Smith", "Acme Corp"]),
        ("Compare Paris, Berlin and Rome", ["Paris", "Berlin", "Rome"]),
        ("Paris, France is nice", ["Paris, France"]),
        ("What's up?", []),
        ("Please help me", []),
        ("Return JSON", []),
    ],
)
def test_names(text: str, found: list[str]) -> None:
    assert values.names(text) == found


def test_emails_links_and_times() -> None:
    alarm = tool("set_alarm", "Set an alarm", time=STRING, url=STRING)
    question = "Set an alarm for 7:30 am with https://example.org/a."
    assert calls(think(question, [alarm])) == [("set_alarm", {"time": "7:30 am", "url": "https://example.org/a"})]


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


def test_selectors_and_rerankers_of_llama_index() -> None:
    prompts = pytest.importorskip("llama_index.core.prompts.default_prompts")
    selectors = pytest.importorskip("llama_index.core.selectors.prompts")
    parser = pytest.importorskip("llama_index.core.output_parsers.selection").SelectionOutputParser()
    listed = "(1) About cats\n\n(2) About France\n"
    prompt = selectors.DEFAULT_SINGLE_SELECT_PROMPT_TMPL.format(
        num_choices=2, context_list=listed, query_str="What is the capital of France?"
    )
    chosen = parser.parse(think(parser.format(prompt)).content)
    assert [answer.choice for answer in chosen.parsed_output] == [2]
    rerank = prompts.DEFAULT_CHOICE_SELECT_PROMPT.format(
        context_str="Document 1:\nCats purr\n\nDocument 2:\nParis is in France", query_str="Where is Paris?"
    )
    assert think(rerank).content == "Doc: 2, Relevance: 10"


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
