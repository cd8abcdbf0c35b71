"""The parts of the LLM that core builds on top of a chat: structured prediction, and tools that are run at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.program.utils import get_program_for_llm
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.types import BasePydanticProgram, Model, PydanticProgramMode

from kimi_wire import profile_for
from kimi_wire.profiles import ForcedChoice
from llama_index_kimi.settings import KimiSettings
from llama_index_kimi.structured import KimiProgram, check_whole

if TYPE_CHECKING:
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.tools.types import BaseTool, ToolOutput

dispatcher = get_dispatcher(__name__)


class KimiPrediction(KimiSettings):
    """Structured prediction and `predict_and_call`, over the endpoints of `Kimi`."""

    # Each pair below differs by `async` and `await` only; tests/llama_index_kimi/test_structured.py compares them.

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Ask for an object of a class.

        The server holds the answer to the class's schema where the model's family is known for it, and the model thinks
        as it always does; otherwise the object is a tool's arguments. A `pydantic_program_mode` other than "default"
        takes core's program of that name.

        Args:
            output_cls: The Pydantic class.
            prompt: The prompt.
            llm_kwargs: Settings of this call.
            **prompt_args: Variables of the prompt.

        Returns:
            The object, validated.

        Raises:
            KimiStructuredOutputError: The answer is cut, no JSON, or does not fit the class. A `ValueError` too.
            KimiError: Whatever else goes wrong.
        """
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program = self._program(output_cls, prompt, llm_kwargs)
        result = program(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result  # type: ignore[return-value]

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """The asynchronous twin of `structured_predict`."""
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program = self._program(output_cls, prompt, llm_kwargs)
        result = await program.acall(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result  # type: ignore[return-value]

    # Behind `stream_structured_predict` and `astream_structured_predict`, which stay core's.

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        program = self._program(output_cls, prompt, llm_kwargs)
        return program.stream_call(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        program = self._program(output_cls, prompt, llm_kwargs)
        return await program.astream_call(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)

    def _program(
        self, output_cls: type[Model], prompt: BasePromptTemplate, call: Mapping[str, Any] | None
    ) -> BasePydanticProgram[Model]:
        mode, profile = self.pydantic_program_mode, profile_for(self._asked("model", call))
        if mode is PydanticProgramMode.DEFAULT:
            if profile.json_schema or profile.tools:
                return KimiProgram(output_cls, self, prompt, by_schema=profile.json_schema)
            mode = PydanticProgramMode.LLM
        # `LLMTextCompletionProgram` writes its output parser into the prompt that it gets.
        return get_program_for_llm(output_cls, prompt.model_copy(), self, pydantic_program_mode=mode)

    def predict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """Let the model call a tool, and run it.

        Args:
            tools: The tools.
            user_msg: The last message.
            chat_history: The messages before it; not changed.
            verbose: Whether to print the call and its result.
            allow_parallel_tool_calls: Whether all calls of an answer are run, or only the first.
            error_on_no_tool_call: Whether it is an error if no tool is called. Defaults to True.
            error_on_tool_error: Whether it is an error if a tool fails. Defaults to False: the text is in the response.
            **kwargs: Settings of this call, `tool_required` and `tool_choice` among them.

        Returns:
            The tools' results, as text and as `sources`. A call of an unknown tool, or with arguments that are no JSON,
            is a failed one: nothing is run, and its result says why.

        Raises:
            ValueError: No tool was called, or one failed, where that is asked to be an error.
            KimiStructuredOutputError: The call was cut at the answer's token limit.
            KimiError: Whatever else goes wrong.
        """
        asked = {"user_msg": user_msg, "chat_history": chat_history, "verbose": verbose, **kwargs}
        if not self.metadata.is_function_calling_model:
            return super().predict_and_call(tools, **asked)
        settings = self._with_thinking(asked, allow_parallel_tool_calls)
        response = self.chat_with_tools(tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **settings)
        calls = self._whole_calls(response, error_on_no_tool_call)
        outputs = [_call_tool(call, tools, verbose) for call in calls]
        return _answer(response, outputs, error_on_tool_error)

    async def apredict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """The asynchronous twin of `predict_and_call`; the tools run at the same time."""
        asked = {"user_msg": user_msg, "chat_history": chat_history, "verbose": verbose, **kwargs}
        if not self.metadata.is_function_calling_model:
            return await super().apredict_and_call(tools, **asked)
        settings = self._with_thinking(asked, allow_parallel_tool_calls)
        response = await self.achat_with_tools(tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **settings)
        calls = self._whole_calls(response, error_on_no_tool_call)
        outputs = await asyncio.gather(*(_acall_tool(call, tools, verbose) for call in calls))
        return _answer(response, outputs, error_on_tool_error)

    def _with_thinking(self, call: Mapping[str, Any], several: bool) -> dict[str, Any]:
        """Ask for thinking where a required call would have it switched off, so that core's programs keep it.

        The call is then written as JSON under a schema (`kimi_wire.requests.plan_tools`), which holds one call only.
        """
        profile = profile_for(self._asked("model", call))
        loses_thinking = profile.forced_choice is ForcedChoice.THINKING_OFF and profile.json_schema and not several
        required = call.get("tool_required") or call.get("tool_choice") not in (None, "auto", "none")
        if loses_thinking and required and self._asked("thinking", call) is None:
            return {**call, "thinking": True}
        return {**call}

    def _asked(self, name: str, call: Mapping[str, Any] | None) -> Any:
        """A setting of the call, or the model object's."""
        given = (call or {}).get(name)
        return getattr(self, name) if given is None else given

    def _whole_calls(self, response: ChatResponse, error_on_no_tool_call: bool) -> list[ToolSelection]:
        calls = self.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call)
        if calls:
            check_whole(response)
        return calls


def _call_tool(call: ToolSelection, tools: Sequence[BaseTool], verbose: bool) -> ToolOutput:
    from llama_index.core.tools.calling import call_tool_with_selection

    return _not_found(call, tools) or call_tool_with_selection(call, tools, verbose=verbose)


async def _acall_tool(call: ToolSelection, tools: Sequence[BaseTool], verbose: bool) -> ToolOutput:
    from llama_index.core.tools.calling import acall_tool_with_selection

    return _not_found(call, tools) or await acall_tool_with_selection(call, tools, verbose=verbose)


def _not_found(call: ToolSelection, tools: Sequence[BaseTool]) -> ToolOutput | None:
    """The result of a call that no tool is there for, where core raises a bare KeyError.

    Calls whose arguments are no JSON object are among them (see `llama_index_kimi.convert.parse_tool_calls`).
    """
    from llama_index.core.tools.types import ToolOutput

    names = [tool.metadata.get_name() for tool in tools]
    if call.tool_name in names:
        return None
    # The words of core's agents, as a failed tool's of core's `call_tool`.
    error = ValueError(f"Tool {call.tool_name} not found. The tools are: {', '.join(names)}.")
    return ToolOutput(
        content=f"Encountered error: {error}",
        tool_name=call.tool_name,
        raw_input=call.tool_kwargs,
        raw_output=str(error),
        is_error=True,
        exception=error,
    )


def _answer(response: ChatResponse, outputs: Sequence[ToolOutput], error_on_tool_error: bool) -> AgentChatResponse:
    from llama_index.core.chat_engine.types import AgentChatResponse

    text = "\n\n".join(output.content for output in outputs)
    if error_on_tool_error and any(output.is_error for output in outputs):
        raise ValueError(text)
    return AgentChatResponse(response=text if outputs else response.message.content or "", sources=list(outputs))
