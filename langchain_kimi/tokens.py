"""Token counts of a `ChatKimi`: an estimate made here, or the server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from kimi_wire.endpoints import KimiPlatform, estimate_messages, estimate_text, estimate_tools
from kimi_wire.errors import KimiError
from langchain_kimi.messages import render_message
from langchain_kimi.settings import KimiSettings


class KimiTokenCounting(KimiSettings):
    """Counts tokens as `token_counting` says; not a model by itself."""

    def get_token_ids(self, text: str) -> list[int]:
        """Return a list as long as the estimated number of tokens; always local.

        Kimi's vocabulary is not known here: the ids are those of `custom_get_token_ids` where that is set, and
        otherwise positions.

        Args:
            text: The text.

        Returns:
            The ids, one for each token.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return list(range(estimate_text(text)))

    def get_num_tokens(self, text: str) -> int:
        """Count the tokens of a text.

        Args:
            text: The text. The server counts it as a user's message, with what surrounds that in a prompt.

        Returns:
            The number of tokens.

        Raises:
            KimiError: The server was asked, and something went wrong.
        """
        if self.token_counting == "local":
            return len(self.get_token_ids(text))
        return self._count_at_server([{"role": "user", "content": text}])

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Count the prompt tokens of messages: text, thinking, tool calls and images.

        Works as `trim_messages(..., token_counter=model)`. With `token_counting="server"`, each count is a request.

        Args:
            messages: The messages. None at all are 0 tokens.
            tools: Functions, Pydantic classes, tools or declarations that go with them; always estimated, as the server
                counts no tools.

        Returns:
            The number of tokens of the prompt.

        Raises:
            KimiError: A message has no form in the API, or the server was asked, and something went wrong.
        """
        try:
            rendered = [render_message(message) for message in messages]
        except KimiError as error:
            raise _adapted(error) from error
        declared = [convert_to_openai_tool(tool) for tool in tools or ()]
        if self.token_counting == "local":
            return estimate_messages(rendered, self.model_name, declared)
        return self._count_at_server(rendered) + estimate_tools(declared)

    def _count_at_server(self, messages: list[dict[str, Any]]) -> int:
        try:
            return KimiPlatform.over(self._client.connection).count_tokens(messages, self.model_name)
        except KimiError as error:
            raise _adapted(error) from error


def _adapted(error: KimiError) -> Exception:
    from langchain_kimi.errors import adapt_error

    return adapt_error(error)
