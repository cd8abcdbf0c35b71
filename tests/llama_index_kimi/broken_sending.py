"""LLMs that lose what they are to send: the shapes of their answers are right."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, TextBlock
from openai.types import CompletionUsage

from llama_index_kimi import Kimi
from tests.llama_index_kimi.foreign import PlainLLM

PROTOCOL = ("tools", "tool_choice", "stream", "stream_options")


class HidesResults(PlainLLM):
    """The content of every tool's message is "?"."""

    def _render(self, message: ChatMessage) -> dict[str, Any]:
        rendered = super()._render(message)
        return {**rendered, "content": "?"} if rendered["role"] == "tool" else rendered


class HidesImages(Kimi):
    """Pictures stay at home."""

    def _prepare(self, messages: Sequence[ChatMessage], *args: Any, **kwargs: Any) -> Any:
        bare = copy.deepcopy(list(messages))
        for message in bare:
            message.blocks = [block for block in message.blocks if not isinstance(block, ImageBlock)]
        return super()._prepare(bare, *args, **kwargs)


class SendsOneBlock(PlainLLM):
    """The first text block only."""

    def _render(self, message: ChatMessage) -> dict[str, Any]:
        texts = [block for block in message.blocks if isinstance(block, TextBlock)]
        others = [block for block in message.blocks if block not in texts]
        return super()._render(message.model_copy(update={"blocks": [*texts[:1], *others]}))


class DropsKeywords(PlainLLM):
    """No `temperature`, `stop` or `max_tokens` of a call."""

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        return super()._body(messages, {name: given[name] for name in PROTOCOL if name in given})


class InventsUsage(PlainLLM):
    """One token each."""

    def _response(self, text: str, calls: list[list[str]], usage: Any, delta: str | None = None) -> ChatResponse:
        one = CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2)
        return super()._response(text, calls, usage and one, delta)


class BlocksTheLoop(PlainLLM):
    """Asynchronous by name."""

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._chat(messages, **kwargs)

    async def _astream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        for response in self._stream(messages, **kwargs):
            yield response


class DropsHistory(PlainLLM):
    """What comes before the last message of the user is not sent."""

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        asked = [at for at, message in enumerate(messages) if message.role.value == "user"]
        return super()._body(messages[asked[-1] :] if asked else messages, given)


class DropsSystemMessages(PlainLLM):
    """Nobody tells the model how to behave."""

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        return super()._body([message for message in messages if message.role.value != "system"] or messages, given)


class CutsLongMessages(PlainLLM):
    """The beginning of a message is enough."""

    def _render(self, message: ChatMessage) -> dict[str, Any]:
        rendered = super()._render(message)
        return {**rendered, "content": rendered["content"][:100]} if rendered["content"] else rendered


class OffersNoTools(PlainLLM):
    """Tools are taken and not sent."""

    def _prepare_chat_with_tools(self, tools: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return super()._prepare_chat_with_tools([], **kwargs)


class MixesUpResults(PlainLLM):
    """Every result goes to the first call."""

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        body = super()._body(messages, given)
        results = [message for message in body["messages"] if message["role"] == "tool"]
        for message in results:
            message["content"] = results[0]["content"]
        return body


FAULTS: dict[type[Any], list[str]] = {
    HidesResults: ["test_results_of_tools_are_sent", "test_each_result_goes_to_its_call", "test_function_agents"],
    HidesImages: ["test_images_are_sent"],
    SendsOneBlock: ["test_every_block_is_sent"],
    DropsKeywords: ["test_keyword_arguments_are_sent"],
    InventsUsage: ["test_usage_is_that_of_the_call"],
    BlocksTheLoop: ["test_other_tasks_run_meanwhile"],
    DropsHistory: [
        "test_what_was_said_before_is_sent",
        "test_what_was_said_before_is_sent_with_tools",
        "test_function_agents_know_what_was_said",
        "test_memories_bring_back_what_was_said",
    ],
    DropsSystemMessages: ["test_system_messages_are_sent", "test_the_system_prompt_is_sent"],
    CutsLongMessages: ["test_query_engines", "test_query_engines_stream", "test_selectors_by_prompt"],
    OffersNoTools: ["test_selectors_by_tool", "test_agents_hand_over", "test_workflows_of_functions"],
    MixesUpResults: ["test_each_result_goes_to_its_call"],
}
