"""The table of scenarios. One row each; `python -m tests.record` makes the cassettes of new ones."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from kimi_emulator import Failure, Reply
from tests.conversations import CLOCK, SEARCH, WEATHER, ask
from tests.recorded.platform import ENDPOINTS
from tests.recorded.scenario import Endpoint, Expect, Scenario

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class City(BaseModel):
    """A city."""

    name: str
    country: str


CITY = {
    "type": "object",
    "description": "A city.",
    "properties": {"name": {"type": "string"}, "country": {"type": "string"}},
    "required": ["name", "country"],
}
CITY_TOOL = {
    "type": "function",
    "function": {
        "name": "City",
        "description": "A city.",
        "parameters": {key: value for key, value in CITY.items() if key != "description"},
    },
}
HELLO = ask("Hello!")
PARIS = ask("What is the weather in Paris?")
TOWER = ask("Where is the Eiffel tower?")
TO_WEATHER = (("get_weather", {"city": "Paris"}),)
A_CITY = Expect(parsed={"name": r"\w", "country": r"\w"})
A_CALL = replace(A_CITY, finish=("stop", "tool_calls"), says=None, calls=(("City", {"name": r"\w", "country": r"\w"}),))
GREETED = {"model": "kimi-k3", "messages": [HELLO]}
STORY = "Once upon a time a cat lived by the sea. " * 12
LONG = ask("You keep the log of a ship. " * 80 + "Which is larger, 9.11 or 9.9?")

CHATS = {
    "chat": Scenario(
        {"model": "kimi-k2.6", "messages": [{"role": "system", "content": "Be brief."}, HELLO], "thinking": {"type": "disabled"}},
        {"thinking": False},
        expect=Expect(thinks=False),
    ),
    "thinking": Scenario(
        {"model": "kimi-k3", "messages": [ask("What is 17 * 23?")], "reasoning_effort": "low"},
        {"reasoning_effort": "low"},
        expect=Expect(says="391"),
    ),
    "several-turns": Scenario(
        {
            "model": "kimi-k3",
            "messages": [
                ask("My name is Ada."),
                {"role": "assistant", "content": "Nice to meet you, Ada!", "reasoning_content": "She is called Ada."},
                ask("What is my name?"),
            ],
        },
        expect=Expect(says="Ada"),
    ),
    "length-cut": Scenario(
        {"model": "kimi-k3", "messages": [HELLO], "max_completion_tokens": 10},
        {"max_tokens": 10},
        expect=Expect(finish=("length",), says=None, warns="max_tokens"),
    ),
    "cache-hit": Scenario(
        {"model": "kimi-k3", "messages": [LONG], "prompt_cache_key": "ship"},
        {"prompt_cache_key": "ship"},
        repeat=2,
        expect=Expect(cached=True),
    ),
    "tool-call": Scenario(
        {"model": "kimi-k3", "messages": [PARIS], "tools": [WEATHER, CLOCK]},
        {"tools": [WEATHER, CLOCK]},
        expect=Expect(finish=("tool_calls",), says=None, calls=TO_WEATHER),
    ),
    "tool-round-trip": Scenario(
        {"model": "kimi-k3", "messages": [PARIS], "tools": [WEATHER]},
        {"tools": [WEATHER]},
        results={"get_weather": "Sunny, 21 degrees."},
        expect=Expect(says="21"),
    ),
    "tool-round-trip-k2.6": Scenario(
        {"model": "kimi-k2.6", "messages": [PARIS], "tools": [WEATHER]},
        {"tools": [WEATHER]},
        results={"get_weather": "Sunny, 21 degrees."},
        expect=Expect(says="21"),
    ),
    "parallel-calls": Scenario(
        {"model": "kimi-k2.6", "messages": [ask("What is the weather in Paris, and what is the weather in Oslo?")], "tools": [WEATHER]},
        {"tools": [WEATHER]},
        expect=Expect(finish=("tool_calls",), says=None, calls=(*TO_WEATHER, ("get_weather", {"city": "Oslo"}))),
    ),
    "forced-choice-k3": Scenario(
        {"model": "kimi-k3", "messages": [PARIS], "tools": [WEATHER], "tool_choice": "required"},
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        expect=Expect(finish=("tool_calls",), says=None, calls=TO_WEATHER),
    ),
    "forced-choice-k2.6": Scenario(
        {
            "model": "kimi-k2.6",
            "messages": [PARIS],
            "tools": [WEATHER, CLOCK],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "thinking": {"type": "disabled"},
        },
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        expect=Expect(finish=("stop", "tool_calls"), says=None, thinks=False, calls=TO_WEATHER),
    ),
    "forced-choice-k2.7-code": Scenario(
        {
            "model": "kimi-k2.7-code",
            "messages": [PARIS],
            "tools": [WEATHER, CLOCK],
            "tool_choice": "none",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "get_weather", "strict": True, "schema": WEATHER["function"]["parameters"]},
            },
        },
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        expect=Expect(finish=("tool_calls",), says=None, calls=TO_WEATHER),
    ),
    "forced-choice-k2-thinking": Scenario(
        {"model": "kimi-k2-thinking", "messages": [PARIS], "tools": [WEATHER]},
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        retired=True,
        expect=Expect(finish=("tool_calls",), says=None, calls=TO_WEATHER, warns="no forced tool choice"),
    ),
    "json-schema": Scenario(
        {
            "model": "kimi-k3",
            "messages": [TOWER],
            "response_format": {"type": "json_schema", "json_schema": {"name": "City", "strict": True, "schema": CITY}},
        },
        schema=City,
        method="json_schema",
        expect=A_CITY,
    ),
    "function-calling": Scenario(
        {
            "model": "kimi-k3",
            "messages": [TOWER],
            "tools": [{"type": "function", "function": {"name": "City", "description": "A city.", "parameters": CITY}}],
            "tool_choice": "required",
        },
        schema=City,
        method="function_calling",
        expect=A_CALL,
        left_out={"llama_index": "core's FunctionCallingProgram sends other parameters: function-calling-program"},
    ),
    "function-calling-program": Scenario(
        {"model": "kimi-k3", "messages": [TOWER], "tools": [CITY_TOOL], "tool_choice": "required"},
        schema=City,
        method="function_calling",
        expect=A_CALL,
        modes=("chat",),
        left_out={"langchain": "LangChain's tool has the description in its parameters too: function-calling"},
    ),
    # Core's `stream_call` requires no call, so that the model must want to make it.
    "function-calling-program-stream": Scenario(
        {"model": "kimi-k3", "messages": [ask("Call City with the city that has the Eiffel tower.")], "tools": [CITY_TOOL]},
        schema=City,
        method="function_calling",
        expect=A_CALL,
        modes=("stream",),
        left_out={"langchain": "LangChain requires the call in streams too: function-calling"},
    ),
    "json-mode": Scenario(
        {
            "model": "kimi-k3",
            # As LlamaIndex's output parser writes it: the form of the answer after an empty line.
            "messages": [ask('Where is the Eiffel tower?\n\nAnswer as JSON with the keys "name" and "country".')],
            "response_format": {"type": "json_object"},
        },
        schema=City,
        method="json_mode",
        expect=A_CITY,
    ),
    "partial-mode": Scenario(
        {
            "model": "kimi-k2.6",
            "messages": [ask("What is 17 * 23?"), {"role": "assistant", "content": "17 * 23 =", "partial": True}],
            "thinking": {"type": "disabled"},
        },
        {"prefix": "17 * 23 =", "thinking": False},
        asked=[ask("What is 17 * 23?")],
        expect=Expect(says="^17 .* 23 =.*391", thinks=False),
    ),
    "continuation": Scenario(
        {"model": "kimi-k2.6", "messages": [ask("Tell me of the sea.")], "max_completion_tokens": 16, "thinking": {"type": "disabled"}},
        {"max_tokens": 16, "continue_on_length": 2, "thinking": False},
        expect=Expect(finish=("stop", "length"), thinks=False),
    ),
    "story-kimi-k3": Scenario(  # played by LangChain's `test_stream_time` too, which asks so
        {"model": "kimi-k3", "messages": [ask("Write a story about a cat.")]},
        script=[Reply(STORY, reasoning="Cats like fish, and the sea has fish. " * 12)],
        modes=("stream",),
    ),
    "vision": Scenario(
        {
            "model": "kimi-k3",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is in this picture?"},
                        {"type": "image_url", "image_url": {"url": PIXEL}},
                    ],
                }
            ],
        },
    ),
}  # fmt: skip


def _fault(failure: Failure, error: str) -> Scenario:
    return Scenario(GREETED, script=[failure], expect=Expect(error=error, status=failure.status))


# Every error that is an answer. A timeout and a connection that fails are none: a cassette has what was answered, and
# nothing was. tests/test_errors.py and tests/test_retries.py bring them about with the emulator.
ERRORS = {
    "error-400-temperature": Scenario(
        {**GREETED, "temperature": 0},
        {"extra_body": {"temperature": 0}},
        expect=Expect(error="KimiBadRequestError", status=400),
    ),
    "error-400-logit-bias": Scenario(
        {**GREETED, "logit_bias": {}},
        {"extra_body": {"logit_bias": {}}},
        expect=Expect(error="KimiBadRequestError", status=400),
    ),
    "error-400-content-filter": _fault(Failure(400, type="content_filter"), "KimiContentFilterError"),
    "error-400-context-length": _fault(
        Failure(400, "Invalid request: Your request exceeded model token limit: 262144 (requested: 274613)"),
        "KimiContextLengthError",
    ),
    # The API's words where the key has expired or is none; error-401 has those for a key it doesn't know.
    "error-401-type": _fault(Failure(401, type="invalid_authentication_error"), "KimiAuthenticationError"),
    "error-401": Scenario(GREETED, key="sk-wrong", expect=Expect(error="KimiAuthenticationError", status=401)),
    "error-403": _fault(Failure(403), "KimiPermissionDeniedError"),
    "error-404": Scenario(
        {"model": "kimi-not-exist", "messages": [HELLO]}, expect=Expect(error="KimiNotFoundError", status=404)
    ),
    "error-409": _fault(Failure(409, "The request conflicts with another one"), "KimiConflictError"),
    "error-413": _fault(Failure(413, "Request exceeds the maximum size"), "KimiStatusError"),
    "error-422": _fault(Failure(422, "Unprocessable entity"), "KimiUnprocessableEntityError"),
    "error-429-rate": _fault(Failure(429), "KimiRateLimitError"),
    "error-429-overloaded": _fault(Failure(429, type="engine_overloaded_error"), "KimiRateLimitError"),
    "error-429-quota": _fault(Failure(429, type="exceeded_current_quota_error"), "KimiQuotaError"),
    "error-500": _fault(Failure(500, "Internal error"), "KimiServerError"),
    "error-503": _fault(Failure(503, "The service is unavailable"), "KimiServerError"),
    "error-504-html": _fault(
        Failure(504, body="<html>\n<head><title>504 Gateway Time-out</title></head>\n</html>\n"), "KimiServerError"
    ),
    "error-in-stream": Scenario(
        GREETED,
        script=[Reply("Hello there!", reasoning="A greeting.", error_after=4)],
        expect=Expect(error="KimiRateLimitError", status=200),
        modes=("stream",),
    ),
    "broken-stream": Scenario(
        GREETED,
        script=[Reply(events=['{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}'], done=False)],
        expect=Expect(error="KimiStreamError"),
        modes=("stream",),
    ),
    "web-search": Scenario(
        {"model": "kimi-k3", "messages": [ask("What is new about Kimi K3?")], "tools": [SEARCH]},
        {"tools": [SEARCH]},
        results={"$web_search": None},
        expect=Expect(says=r"Kimi"),
    ),
    "web-search-k2.6": Scenario(
        {"model": "kimi-k2.6", "messages": [ask("What is new about Kimi K3?")], "tools": [SEARCH]},
        {"tools": [SEARCH]},
        results={"$web_search": None},
        expect=Expect(says=r"Kimi"),
    ),
}

SCENARIOS: dict[str, Scenario | Endpoint] = {**CHATS, **ERRORS, **ENDPOINTS}
