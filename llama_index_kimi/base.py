"""The LLM: settings, and thin shells around `kimi_wire` for each of LlamaIndex's endpoints."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    MessageRole,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection

from kimi_wire import KimiWarning
from kimi_wire.answers import Completion, explain_answer
from kimi_wire.requests import Request
from llama_index_kimi.callbacks import when_observed
from llama_index_kimi.convert import (
    StreamedResponse,
    keep_first_call,
    parse_completion_response,
    parse_response,
    parse_tool_calls,
)
from llama_index_kimi.prediction import KimiPrediction
from llama_index_kimi.tools import render_tool

if TYPE_CHECKING:
    from llama_index.core.tools.types import BaseTool


class Kimi(KimiPrediction):
    """Kimi LLM, by Moonshot AI.

    To instantiate the `Kimi` class, provide an API key, or set the environment variable `MOONSHOT_API_KEY` (or
    `KIMI_API_KEY`). Keys are made at https://platform.kimi.ai.

    Any setting of a request can also be given with a call (`llm.chat(messages, thinking=False)`), and so can `timeout`,
    `max_retries` and `extra_headers`. Settings that a model does not take are left out with a `KimiWarning`, once for
    each. Two settings are for single calls alone: `prefix`, the beginning of the answer, and `prefix_name`, who speaks.

    The key is in no repr, dict, JSON, event or pickle; nor are `default_headers` and the HTTP clients. What is made of
    those takes the key from the environment: at once from a dict, with the first call from a pickle.

    Args:
        model: The model's id. Defaults to "kimi-k3". Any id is taken; what is known of its family decides what is sent.
        api_key: The API key. Defaults to `MOONSHOT_API_KEY`, else `KIMI_API_KEY`.
        api_base: The API's root; `base_url` is taken too. Defaults to `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or
            `KIMI_BASE_URL`, else "https://api.moonshot.ai/v1". Keys of the platform in China are for
            "https://api.moonshot.cn/v1".
        thinking: Whether to think, for models with a switch. Defaults to None: what the model does on its own.
        reasoning_effort: "low", "high" or "max", for the kimi-k3 family. Defaults to None: the model's own.
        preserve_thinking: Whether the model sees its thinking of earlier turns, for models with that switch.
        missing_reasoning: What to do about a message with tool calls whose thinking is lost, where the model needs it:
            "placeholder" sends a space, "omit" nothing, "error" raises. Defaults to "placeholder".
        unanswered_tool_calls: What to do about a tool call in the history without an answer: "error" raises, "repair"
            answers it with an error. Defaults to "error".
        dialect: What the host speaks: "moonshot", "vllm", "sglang", "openrouter", or "openai" for one that refuses all
            fields but OpenAI's. Defaults to "auto": Moonshot's, but for hosts that are known by their address.
        continue_on_length: How often an answer cut by its token limit is continued in Partial Mode. Defaults to 0.
        resume_streams: How often a stream that broke off is resumed in Partial Mode. Defaults to 0.
        max_tokens: Cap on the answer in tokens, thinking included. Defaults to None: the model's own.
        temperature: Sampling temperature. Like the next four without a default: most models take one value only.
        top_p: Nucleus sampling.
        presence_penalty: -2 to 2.
        frequency_penalty: -2 to 2.
        logprobs: Whether to return log probabilities, as `ChatResponse.logprobs`.
        top_logprobs: How many alternatives with them, 0 to 20.
        stop: Up to 5 strings of at most 32 bytes.
        prompt_cache_key: Steers requests of one session to the same cache.
        safety_identifier: A stable, hashed id of the end user.
        remote_images: What to do about images and videos given as http(s) URLs, which Kimi does not fetch: "error"
            raises, "download" fetches them from here (public addresses only, 100 MB and 60 s for all of a request, no
            proxy) and sends the bytes. Defaults to "error".
        upload_media_over: Images and videos of more than so many bytes are uploaded once for this object, and referred
            to by their `ms://` id from then on; `delete_uploaded_media` deletes them. Defaults to None: each is sent
            with every request.
        extra_body: Fields to put into the request's body as they are.
        strict: Whether to raise a `KimiRequestError` where a setting would be left out. Defaults to False.
        timeout: Seconds to wait for the server. Defaults to None: 60 to connect and 900 for the next byte, since
            thinking is silent for minutes.
        stream_idle_timeout: Seconds a stream may be silent. Defaults to None: as `timeout`.
        max_retries: How often to try again after a rate limit, a server error or a lost connection. Defaults to 2.
        default_headers: Headers for every request.
        http_client: A client of the HTTP library that the openai SDK is built on, for synchronous calls.
        http_async_client: The same for asynchronous calls.
        context_window: Input and output together, in tokens. Defaults to None: the model's own.
        **kwargs: `callback_manager`, `system_prompt` and all else that every LLM of LlamaIndex takes.

    Raises:
        KimiMissingKeyError: There is no API key.
        KimiRequestError: An argument is unknown, or `api_base` is no URL.

    Examples:
        `pip install "kimi-adapters[llama-index]"`

        ```python
        from llama_index.core.llms import ChatMessage
        from llama_index_kimi import Kimi

        llm = Kimi(model="kimi-k3")  # reads MOONSHOT_API_KEY
        print(llm.complete("Why is the sky blue?"))
        print(llm.chat([ChatMessage(role="user", content="Hello!")]))
        ```

        What the model thought is a block of the message:

        ```python
        from llama_index.core.base.llms.types import ThinkingBlock

        response = llm.chat([ChatMessage(role="user", content="Is 91 prime?")], reasoning_effort="low")
        print([block.content for block in response.message.blocks if isinstance(block, ThinkingBlock)])
        ```

        Streaming, with the thinking as it comes:

        ```python
        for chunk in llm.stream_chat([ChatMessage(role="user", content="Is 91 prime?")]):
            print(chunk.additional_kwargs.get("thinking_delta") or chunk.delta, end="")
        ```

        Objects of a class, with thinking left on:

        ```python
        from llama_index.core.prompts import PromptTemplate
        from pydantic import BaseModel

        class City(BaseModel):
            name: str
            inhabitants: int | None

        print(llm.structured_predict(City, PromptTemplate("What is the largest city of {land}?"), land="Norway"))
        ```

        Tools, in an agent:

        ```python
        from llama_index.core.agent.workflow import FunctionAgent

        def multiply(a: int, b: int) -> int:
            \"\"\"Multiply two numbers.\"\"\"
            return a * b

        agent = FunctionAgent(tools=[multiply], llm=llm)
        print(await agent.run("What is 7 times 13?"))
        ```
    """

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in serialised form."""
        return "Kimi"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    @when_observed(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send the messages and return the answer.

        Args:
            messages: The conversation.
            **kwargs: Settings of this call.

        Returns:
            The answer: thinking, text and tool calls as blocks of `message`, the token counts in `additional_kwargs`.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return self._chat(*self._prepare(messages, kwargs))

    @when_observed(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The asynchronous twin of `chat`."""
        return await self._achat(*self._prepare(messages, kwargs))

    @when_observed(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Send the messages and give the answer as it comes.

        Args:
            messages: The conversation.
            **kwargs: Settings of this call.

        Returns:
            A generator of responses: each has the whole message so far, the new text as `delta`, and the new thinking
            as `additional_kwargs["thinking_delta"]`; the last one has the token counts.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        return self._stream_chat(*self._prepare(messages, kwargs, stream=True))

    @when_observed(llm_chat_callback())
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """The asynchronous twin of `stream_chat`."""
        return self._astream_chat(*self._prepare(messages, kwargs, stream=True))

    @when_observed(llm_completion_callback())
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Send a prompt as a user's message and return the answer.

        Args:
            prompt: The prompt.
            formatted: Whether it went through `completion_to_prompt` already.
            **kwargs: Settings of this call.

        Returns:
            The answer's text, with the token counts in `additional_kwargs`.

        Raises:
            KimiError: Whatever goes wrong.
        """
        messages = self._prompt_messages(prompt, formatted)
        return parse_completion_response(self._chat(*self._prepare(messages, kwargs)))

    @when_observed(llm_completion_callback())
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The asynchronous twin of `complete`."""
        messages = self._prompt_messages(prompt, formatted)
        return parse_completion_response(await self._achat(*self._prepare(messages, kwargs)))

    @when_observed(llm_completion_callback())
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Send a prompt as a user's message and give the answer as it comes.

        Args:
            prompt: The prompt.
            formatted: Whether it went through `completion_to_prompt` already.
            **kwargs: Settings of this call.

        Returns:
            A generator of responses: each has the whole text so far, and the new text as `delta`.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        messages = self._prompt_messages(prompt, formatted)
        responses = self._stream_chat(*self._prepare(messages, kwargs, stream=True))
        return (parse_completion_response(response) for response in responses)

    @when_observed(llm_completion_callback())
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """The asynchronous twin of `stream_complete`."""
        messages = self._prompt_messages(prompt, formatted)
        responses = self._astream_chat(*self._prepare(messages, kwargs, stream=True))
        return (parse_completion_response(response) async for response in responses)

    # Without callbacks, so that `complete` is one call to those who count tokens, not two.

    def _chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponse:
        completion = self._client().complete(request, options)
        _explain(completion)
        return parse_response(completion)

    async def _achat(self, request: Request, options: Mapping[str, Any]) -> ChatResponse:
        completion = await self._client().acomplete(request, options)
        _explain(completion)
        return parse_response(completion)

    def _stream_chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponseGen:
        response = StreamedResponse()
        for item in self._client().stream(request, options):
            _explain(item)
            yield response.add(item)

    async def _astream_chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponseAsyncGen:
        response = StreamedResponse()
        async for item in self._client().astream(request, options):
            _explain(item)
            yield response.add(item)

    def delete_uploaded_media(self) -> list[str]:
        """Delete what `upload_media_over` uploaded from the account; what is needed again is uploaded again.

        Returns:
            The ids of the deleted files.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return self._client().delete_uploads()

    async def adelete_uploaded_media(self) -> list[str]:
        """The asynchronous twin of `delete_uploaded_media`."""
        return await self._client().adelete_uploads()

    def _prompt_messages(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Make the arguments of `chat` out of those of `chat_with_tools`.

        Args:
            tools: The tools; without any, here or in a system message, nothing of tools is sent.
            user_msg: The last message.
            chat_history: The messages before it; not changed.
            verbose: Not used.
            allow_parallel_tool_calls: Whether answers keep more than one call; Kimi has no such switch, see
                `_validate_chat_with_tools_response`.
            tool_required: Whether a call must come, unless `tool_choice` says something else.
            tool_choice: "auto", "none", "any", "required", a tool's name, or a dict that names one.
            **kwargs: Settings of this call.
        """
        messages = [*(chat_history or ())]
        if user_msg is not None:
            is_text = isinstance(user_msg, str)
            messages.append(ChatMessage(role=MessageRole.USER, content=user_msg) if is_text else user_msg)
        prepared: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            prepared["tools"] = [render_tool(tool) for tool in tools]
        some = tools or any(message.additional_kwargs.get("tools") for message in messages)
        if some and (tool_choice is not None or tool_required):
            prepared["tool_choice"] = "required" if tool_choice is None else tool_choice
        return prepared

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Cut the answer to its first tool call unless several are allowed; core asks this of whole answers only."""
        return response if allow_parallel_tool_calls else keep_first_call(response)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read the tool calls of a response.

        Args:
            response: A response, or a chunk of a stream, whose calls have the arguments so far.
            error_on_no_tool_call: Whether it is an error if there are none. Defaults to True.
            **kwargs: Not used.

        Returns:
            The calls. One whose arguments turned out not to be a JSON object has, instead of the tool's name, a text
            that says so and is no tool's name, so that no tool runs with arguments nobody wrote.

        Raises:
            ValueError: There are none.
        """
        calls = parse_tool_calls(response)
        if not calls and error_on_no_tool_call:
            raise ValueError(f"Expected at least one tool call, but got {len(calls)} tool calls.")
        return calls


def _explain(item: object) -> None:
    for reason in explain_answer(item.choice) if isinstance(item, Completion) else ():
        warnings.warn(reason, KimiWarning, stacklevel=6)
