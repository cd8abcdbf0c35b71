"""A tokenizer for those parts of LlamaIndex that count tokens."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

from kimi_wire.endpoints import KimiPlatform, estimate_text
from kimi_wire.errors import KimiRequestError
from kimi_wire.settings import DEFAULT_MODEL
from kimi_wire.transport import ApiKey

_REMEMBERED = 256


class KimiTokenizer:
    """Counts tokens wherever core takes a `tokenizer` or a `tokenizer_fn`; core's own counts as GPT-3.5 does.

    Core asks for the length of the list only. Kimi's vocabulary is not known here, so that the ids in it are positions.

    Args:
        counting: "local" estimates, without any request (see `kimi_wire.endpoints`). "server" asks the server for every
            text that is new, and counts it as a user's message, with what surrounds that in a prompt. Defaults to
            "local".
        model: The model that counts at the server. Defaults to "kimi-k3".
        api_key: The API key, or a function that gives it, for "server". Defaults to `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        api_base: The API's root, for "server". Defaults as that of `Kimi`.
        **options: `timeout`, `max_retries`, `default_headers`, `http_client`, for "server".

    Raises:
        KimiMissingKeyError: The server is to count, and there is no key.
        KimiRequestError: `counting` is something else.

    Examples:
        ```python
        from llama_index.core import Settings
        from llama_index.core.memory import Memory
        from llama_index_kimi import KimiTokenizer

        memory = Memory.from_defaults(token_limit=200_000, tokenizer_fn=KimiTokenizer())
        Settings.tokenizer = KimiTokenizer()  # everywhere
        ```
    """

    def __init__(
        self,
        counting: Literal["local", "server"] = "local",
        *,
        model: str = DEFAULT_MODEL,
        api_key: ApiKey | None = None,
        api_base: str | None = None,
        **options: Any,
    ) -> None:
        if counting not in ("local", "server"):
            raise KimiRequestError(f"counting={counting!r} is neither 'local' nor 'server'.")
        self.model = model
        self._platform = KimiPlatform(api_key, api_base, **options) if counting == "server" else None
        self._counted: OrderedDict[str, int] = OrderedDict()

    def __call__(self, text: str) -> list[int]:
        """Return a list with one item for each token of a text."""
        return list(range(self.count(text)))

    def encode(self, text: str) -> list[int]:
        """As a call, for those who want an object with this method.

        Args:
            text: The text.

        Returns:
            A list with one item for each token; the items are positions.

        Raises:
            KimiError: The server was asked, and something went wrong.
        """
        return self(text)

    def count(self, text: str) -> int:
        """Count the tokens of a text.

        Args:
            text: The text.

        Returns:
            The number of tokens.

        Raises:
            KimiError: The server was asked, and something went wrong.
        """
        if self._platform is None:
            return estimate_text(text)
        if text not in self._counted:  # core counts the same templates and messages again and again
            self._counted[text] = self._platform.count_tokens(text, self.model)
            if len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
        return self._counted[text]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'local' if self._platform is None else 'server'!r}, model={self.model!r})"

    def __deepcopy__(self, memo: Any) -> KimiTokenizer:
        return self  # copies of what counts with it share its connections
