"""The table of golden requests: what each page shows, and the call that brings it about in either framework.

A call stands here as the text that its page shows, and that very text is run: `model` is a `ChatKimi` and `llm` a `Kimi`,
of one family after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.conversations import Message, ask, call
from tests.families import facts, with_every_row
from tests.media_samples import PNG_URL

_IDS = (
    "kimi-k3.1-pro",
    "k3-256k",
    "kimi-k3",
    "kimi-k2.7-code",
    "kimi-k2.6",
    "kimi-k2.5",
    "kimi-k2-thinking",
    "kimi-k2-0905-preview",
    "moonshot-v1-128k",
    "kimi-latest",
    "kimi-thinking-preview",
    "kimi-k9",
    "glm-5",
)

MODELS = with_every_row(_IDS, facts)
"""One model for all families whose facts are the same but for names, sizes and dates, which are not sent."""

UNLISTED, FOREIGN = "kimi-k9", "glm-5"


@dataclass(frozen=True)
class Case:
    """One call, made of every family through both adapters.

    Attributes:
        title: The capability.
        says: What is to be seen, in a sentence or two.
        langchain: The call of `ChatKimi`.
        llama_index: The call of `Kimi`; the same body goes out.
        messages: What `messages` is in the calls, in the API's form.
        differs: Why the frameworks send different bodies; None where they send the same.
    """

    title: str
    says: str
    langchain: str
    llama_index: str
    messages: Sequence[Message] = ()
    differs: str | None = None


@dataclass(frozen=True)
class Page:
    """A capability and its cases.

    Attributes:
        title: Its heading.
        cases: What it shows.
    """

    title: str
    cases: tuple[Case, ...]


def settings(title: str, says: str, given: str) -> Case:
    """A case of settings given with a call."""
    return Case(title, says, f'model.invoke("Hello!", {given})', f'llm.chat([ChatMessage("Hello!")], {given})')


def tools(title: str, says: str, names: str, langchain: str = "", llama_index: str = "") -> Case:
    """A case of tools and a choice among them."""
    question = '"What is the weather in Paris?"'
    return Case(
        title,
        says,
        f"model.bind_tools([{names}]{langchain}).invoke({question})",
        f"llm.chat_with_tools([{names}], {question}{llama_index})",
    )


def history(title: str, says: str, messages: Sequence[Message], given: str = "") -> Case:
    """A case of a conversation that goes on."""
    return Case(title, says, f"model.invoke(messages{given})", f"llm.chat(messages{given})", messages)


def media(title: str, says: str, langchain: str, llama_index: str) -> Case:
    """A case of a question with a picture or a video beside it."""
    return Case(
        title,
        says,
        f"model.invoke([HumanMessage(content_blocks=[text, {langchain}])])",
        f"llm.chat([ChatMessage(blocks=[text, {llama_index}])])",
    )


PARIS, HELLO = ask("What is the weather in Paris?"), ask("Hello!")
CALLED = {
    "role": "assistant",
    "content": "Let me see.",
    "reasoning_content": "I look it up.\n",
    "tool_calls": [call("get_weather:0", '{"city":"Paris"}')],
}
SUNNY = {"role": "tool", "tool_call_id": "get_weather:0", "content": "Sunny."}
SILENT = {key: value for key, value in CALLED.items() if key != "content"}
LOST = {key: value for key, value in CALLED.items() if key != "reasoning_content"}
PICTURE = {"type": "image_url", "image_url": {"url": PNG_URL}}
SAID = {"role": "assistant", "content": "It is sunny.", "reasoning_content": "The tool says so."}
SEARCHED = {
    "role": "assistant",
    "content": "Let me see.",
    "reasoning_content": "I search.",
    "tool_calls": [
        {
            "id": "$web_search:0",
            "type": "builtin_function",
            "function": {"name": "$web_search", "arguments": '{"search_result":{"search_id":"1"},"usage":{"total_tokens":9}}'},
        }
    ],
}  # fmt: skip
FOUND = {"role": "tool", "tool_call_id": "$web_search:0", "content": "whatever the tool said"}

LANGCHAIN_LOADS = """\
model.invoke([HumanMessage("What is the weather in Oslo?"), SystemMessage("", additional_kwargs={"tools": [WEATHER]})])"""
LLAMA_INDEX_LOADS = """\
llm.chat(
    [
        ChatMessage("What is the weather in Oslo?"),
        ChatMessage(role="system", content=None, additional_kwargs={"tools": [WEATHER]}),
    ]
)"""

PAGES = {
    "chat": Page(
        "Chat and its settings",
        (
            history("System prompt and question", "No default of any setting is sent.", [{"role": "system", "content": "Be brief."}, HELLO]),
            Case(
                "Streamed",
                "Streaming adds two fields, and nothing else.",
                'list(model.stream("Hello!"))',
                'list(llm.stream_chat([ChatMessage("Hello!")]))',
            ),
            settings("Limits", "The cap has one name for Kimi's models and another for others.", 'max_tokens=900, stop=["END"]'),
            settings(
                "Sampling",
                "Where a family samples with fixed parameters, none is sent, and a warning says so.",
                "temperature=0.3, top_p=0.9, presence_penalty=0.1, frequency_penalty=0.2",
            ),
            settings("Log probabilities", "Not of families with fixed parameters.", "logprobs=True, top_logprobs=2"),
            settings("Cache and user", "Passed through.", 'prompt_cache_key="session-1", safety_identifier="user-1"'),
            settings(
                "How long the cache keeps",
                "For kimi-k3 and newer models; elsewhere it is left out, and a warning says so.",
                'prompt_cache_ttl="1h"',
            ),
            settings("Fields of one's own", "Laid over the body as they are.", 'extra_body={"prompt_cache_options": {"ttl": "1h"}}'),
        ),
    ),
    "thinking": Page(
        "Thinking and effort",
        (
            settings("Thinking switched off", "Only some families have a switch.", "thinking=False"),
            settings("Thinking switched on", "Families that think anyway need no word.", "thinking=True"),
            settings("Effort", "For kimi-k3 and newer models, which have it in place of a switch.", 'reasoning_effort="low"'),
            settings("An effort that there is not", "Refused before anything is sent.", 'reasoning_effort="xhigh"'),
            settings("An effort without documentation", "The server takes it; a warning says so.", 'reasoning_effort="medium"'),
            settings("Thinking of earlier turns preserved", "A switch of kimi-k2.6 alone.", "preserve_thinking=True"),
            settings("Thinking of earlier turns not preserved", "Some families always do.", "preserve_thinking=False"),
            history(
                "Thinking sent back",
                "What the model thought goes back with the conversation, beside text and beside calls.",
                [PARIS, CALLED, SUNNY, SAID, HELLO],
            ),
            history(
                "Thinking that was lost",
                "A space stands for it where the server refuses a call without its thinking.",
                [PARIS, LOST, SUNNY],
            ),
            history(
                "Thinking that was lost, and is off",
                "Without thinking, nothing is missing.",
                [PARIS, LOST, SUNNY],
                ", thinking=False",
            ),
        ),
    ),
    "tools": Page(
        "Tools",
        (
            tools("Tools to choose from", "Declarations go out in their order, their schemas in Moonshot's dialect.", "WEATHER, CLOCK"),
            tools("No call wanted", "The tools stay, so that the prefix cache still hits.", "WEATHER", ', tool_choice="none"', ', tool_choice="none"'),
            tools("A name of any kind", "It travels under a legal one, which depends on it alone.", "TICKETS"),
            Case(
                "A function as a tool",
                "Name, description and parameters are what the framework makes of it.",
                'model.bind_tools([get_weather]).invoke("What is the weather in Paris?")',
                'llm.chat_with_tools([get_weather], "What is the weather in Paris?")',
                differs="LlamaIndex puts the function's signature into the description.",
            ),
            tools("A schema the dialect has no words for", "What it cannot say goes into the description.", "BOOKING"),
            Case(
                "A call and its result",
                "The call goes back as it came.",
                "model.bind_tools([WEATHER]).invoke(messages)",
                "llm.chat_with_tools([WEATHER], chat_history=messages)",
                [PARIS, CALLED, SUNNY],
            ),
            Case(
                "A call without text",
                "Nothing stands for the text.",
                "model.invoke(messages)",
                "llm.chat(messages)",
                [PARIS, SILENT, SUNNY],
                "LangChain's messages have an empty text at least, which goes out to a foreign model as it is.",
            ),
            history(
                "Two calls of one id",
                "The server refuses a repeated id, so that the second gets a number of its own, call and result.",
                [PARIS, CALLED, SUNNY, PARIS, CALLED, SUNNY],
            ),
            history("A call that nobody answered", "Answered with an error, and a warning says so.", [PARIS, CALLED, HELLO]),
            history(
                "A call that nobody answered, refused",
                "Refused before anything is sent.",
                [PARIS, CALLED, HELLO],
                ', unanswered_tool_calls="error"',
            ),
        ),
    ),
    "forced-calls": Page(
        "Forced tool calls",
        (
            tools("Any tool", "Some call must come.", "WEATHER, CLOCK", ', tool_choice="any"', ", tool_required=True"),
            tools("A tool by its name", "A call of this tool must come.", "WEATHER, CLOCK", ', tool_choice="get_weather"', ', tool_choice="get_weather"'),
            tools(
                "Any tool, thinking asked for",
                "Thinking may not be switched off, so that the call is asked for in another way.",
                "WEATHER, CLOCK",
                ', tool_choice="any", thinking=True',
                ", tool_required=True, thinking=True",
            ),
            tools(
                "A tool by its name, thinking asked for",
                "The same, with one tool's schema.",
                "WEATHER, CLOCK",
                ', tool_choice="get_weather", thinking=True',
                ', tool_choice="get_weather", thinking=True',
            ),
            Case(
                "A tool that is called at once",
                "LlamaIndex's `predict_and_call` keeps the thinking on where a schema can hold the call.",
                'model.bind_tools([get_weather], tool_choice="any").invoke("What is the weather in Paris?")',
                'llm.predict_and_call([FunctionTool.from_defaults(get_weather)], "What is the weather in Paris?", tool_required=True)',
                differs="LlamaIndex alone has it; beside it stands LangChain's `bind_tools`.",
            ),
        ),
    ),
    "structured-output": Page(
        "Structured output",
        (
            Case(
                "By schema",
                "The default of both: the server holds the answer to the schema. A family that does not enforce one gets a tool.",
                'model.with_structured_output(City).invoke("Where is the Eiffel tower?")',
                'llm.structured_predict(City, PromptTemplate("Where is the Eiffel tower?"))',
                differs="where it is a tool, LangChain asks for it by its name and LlamaIndex for any. kimi-thinking-preview, which takes "
                "neither, is refused by LangChain; LlamaIndex writes the schema into the prompt.",
            ),
            Case(
                "By tool",
                "The object is a tool's arguments, and its call is forced.",
                'model.with_structured_output(City, method="function_calling").invoke("Where is the Eiffel tower?")',
                'FunctionCallingProgram.from_defaults(City, prompt_template_str="Where is the Eiffel tower?", llm=llm)()',
                differs="LangChain asks for the tool by its name and repeats the description in its parameters. Core's program requires any "
                "call, and asks for thinking where that leaves it on.",
            ),
            Case(
                "By JSON mode",
                "Any JSON object will do; the prompt names the keys.",
                'model.with_structured_output(City, method="json_mode").invoke(\'A city as JSON with the keys "name" and "country".\')',
                'llm.chat([ChatMessage(\'A city as JSON with the keys "name" and "country".\')], response_format={"type": "json_object"})',
            ),
            Case(
                "By JSON mode, the keys not named",
                "The schema goes into the prompt.",
                'model.with_structured_output(City, method="json_mode").invoke("Where is the Eiffel tower?")',
                "LLMTextCompletionProgram.from_defaults(\n"
                '    PydanticOutputParser(City), prompt_template_str="Where is the Eiffel tower?", llm=llm\n'
                ')(llm_kwargs={"response_format": {"type": "json_object"}})',
                differs="each framework has its own words for it.",
            ),
        ),
    ),
    "partial-mode": Page(
        "Partial Mode",
        (
            settings("A prefix", "The answer's beginning is a last message, marked.", 'prefix="Good"'),
            settings("A prefix and who speaks it", "The name goes beside it.", 'prefix="Good", prefix_name="Ada"'),
            history(
                "The raw form",
                "A mark in `extra_body` moves to the last message.",
                [HELLO, {"role": "assistant", "content": "Good"}],
                ', extra_body={"partial": True}',
            ),
        ),
    ),
    "media": Page(
        "Pictures and video",
        (
            media(
                "A picture",
                "Bytes go as a data URL.",
                '{"type": "image", "base64": PNG, "mime_type": "image/png"}',
                "ImageBlock(image=PNG)",
            ),
            media(
                "A video",
                "Bytes go as a data URL.",
                '{"type": "video", "base64": MP4, "mime_type": "video/mp4"}',
                "VideoBlock(video=MP4)",
            ),
            media(
                "An uploaded picture",
                "Its id is a URL.",
                '{"type": "image", "file_id": "ms://picture-1"}',
                'ImageBlock(url="ms://picture-1")',
            ),
            media(
                "A picture elsewhere",
                "Kimi fetches none.",
                '{"type": "image", "url": "https://example.com/a.png"}',
                'ImageBlock(url="https://example.com/a.png")',
            ),
            history(
                "A picture in a tool's result",
                "It moves into a message of the user's, as a tool message would lose it.",
                [PARIS, CALLED, {**SUNNY, "content": [{"type": "text", "text": "Sunny."}, PICTURE]}],
            ),
        ),
    ),
    "web-search": Page(
        "Web search",
        (
            Case(
                "Declared",
                "By its name alone.",
                'model.bind_tools([KimiWebSearch()]).invoke("What is new about Kimi?")',
                'llm.chat_with_tools(KimiWebSearchToolSpec().to_tool_list(), "What is new about Kimi?")',
            ),
            Case(
                "Beside another tool, and forced",
                "No schema could hold a builtin function's call.",
                'model.bind_tools(["$web_search", WEATHER], tool_choice="$web_search").invoke("What is new about Kimi?")',
                'llm.chat_with_tools(["$web_search", WEATHER], "What is new about Kimi?", tool_choice="$web_search")',
            ),
            Case(
                "Its call answered",
                "With its own arguments, byte for byte, whatever the tool said.",
                'model.bind_tools(["$web_search"]).invoke(messages)',
                'llm.chat_with_tools(["$web_search"], chat_history=messages)',
                [ask("What is new about Kimi?"), SEARCHED, FOUND],
            ),
        ),
    ),
    "dynamic-tools": Page(
        "Tools loaded on the way",
        (
            Case(
                "Loaded by a message",
                "kimi-k3 and newer models take tools in a system message without text.",
                LANGCHAIN_LOADS,
                LLAMA_INDEX_LOADS,
            ),
            Case(
                "Any tool forced",
                "Loaded and declared ones count alike. `LOADING` is the conversation above.",
                'model.bind_tools([CLOCK], tool_choice="any").invoke(LOADING)',
                "llm.chat_with_tools([CLOCK], chat_history=LOADING, tool_required=True)",
            ),
            Case(
                "A loaded tool forced by its name",
                "The list cannot be narrowed to it, so that the call is written as JSON under its schema.",
                'model.bind_tools([CLOCK], tool_choice="get_weather").invoke(LOADING)',
                'llm.chat_with_tools([CLOCK], chat_history=LOADING, tool_choice="get_weather")',
            ),
        ),
    ),
}  # fmt: skip
