"""What every part of the suite stands on: the hooks and flags a subclass sets, and how tests are skipped by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from llama_index.core.bridge.pydantic import SecretStr
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.llms import LLM, ChatResponse
from llama_index.core.llms.custom import CustomLLM

from llama_index_conformance.calling import Caller, Runner
from llama_index_conformance.recording import Recorder

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Questions:
    """What the suite asks. Replace a question if the model needs other words to do the same.

    Besides these, `SendingTests` tells the model a name or a code word and asks for it.

    Attributes:
        plain: Gets a short answer and calls no tool.
        long: Gets an answer long enough to come in several chunks.
        thinking: Makes a model think that does so only when it has to.
        tool: Makes the model call `multiply` with 6 and 7.
        parallel: Makes the model call `get_weather` twice in one answer, for Paris and for Berlin.
        no_arguments: Makes the model call `lucky_number`, which takes no arguments.
        failing: Makes the model call `open_vault`, which raises.
        handoff: Makes the agent "clerk" call the `handoff` tool to reach the agent "counter".
        person: Says that Ada Lovelace is 36 years old.
    """

    plain: str = "Hello! How are you?"
    long: str = "Please explain in a few sentences what you are and what you can do."
    thinking: str = "Which is larger, 9.11 or 9.9?"
    tool: str = "What is 6 times 7? Use the multiply tool."
    parallel: str = "What is the weather in Paris and in Berlin? Use the get_weather tool for each."
    no_arguments: str = "What is my lucky number? Call lucky_number."
    failing: str = "Please open the vault: call open_vault."
    handoff: str = "Use the handoff tool: to_agent is 'counter', the reason is 'arithmetic'."
    person: str = "Ada Lovelace is 36 years old."


def needs(*flags: str) -> Callable[[Test], Test]:
    """Mark a test that applies only where all of these flags are set; elsewhere it is skipped, with the flag's name.

    Args:
        *flags: Names of properties of `ConformanceBase`.
    """

    def mark(test: Test) -> Test:
        test.__dict__["needed_flags"] = (*test.__dict__.get("needed_flags", ()), *flags)
        return test

    return mark


def _find_needs(request: pytest.FixtureRequest) -> Iterator[str]:
    """The flags a test needs: those it is marked with, and streaming where a parameter is a method that streams."""
    yield from getattr(request.function, "needed_flags", ())
    given: Mapping[str, Any] = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if any("stream" in str(given.get(name)) for name in ("endpoint", "way")):
        yield "supports_streaming"


class ConformanceBase:
    """Hooks and flags. `llm_class` has to be given; all the rest has a default.

    A flag that is False skips the tests that need it, and the skip names the flag.
    """

    # --- hooks ---

    @property
    def llm_class(self) -> type[LLM]:
        """The class under test."""
        raise NotImplementedError("Define the property llm_class in your subclass of LLMConformance.")

    @property
    def llm_params(self) -> Mapping[str, Any]:
        """Arguments that make an object of the class; each test makes its own objects."""
        return {}

    def make_llm(self, **given: Any) -> LLM:
        """Make an LLM. Override it where calling `llm_class` with `llm_params` is not enough.

        Args:
            **given: Further arguments for the constructor, which win over `llm_params`.
        """
        return self.llm_class(**{**self.llm_params, **given})

    def make_failing_llm(self) -> LLM | None:
        """Make an LLM whose every call fails: a wrong key, a closed port. None skips the tests of errors."""
        return None

    def make_interrupted_llm(self) -> LLM | None:
        """Make an LLM whose streams break off after some chunks. None skips the tests of broken streams."""
        return None

    def prepare(self, test: str) -> None:
        """Called with the name of each test before it runs: the place to load a script into a fake server."""

    @property
    def questions(self) -> Questions:
        """What is asked."""
        return Questions()

    @property
    def secrets(self) -> Sequence[str]:
        """Texts that no representation of the LLM may show. Default: parameters with "key", "token" or "secret"."""
        return [str(value) for value in self._secret_params.values()]

    @property
    def restore_params(self) -> Mapping[str, Any]:
        """What `from_dict` is given besides the dict, because the dict must not have it. Default: the secrets."""
        return self._secret_params

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that are set while a pickle is loaded, where the class leaves its key out of pickles."""
        return {}

    @property
    def limiting_kwargs(self) -> Mapping[str, Any]:
        """Keyword arguments of a call that cut the answer to `questions.long`. An empty dict skips the test.

        Default: `max_tokens` of 16, the least that some servers take; for an LLM that does not follow instructions,
        nothing.
        """
        return {"max_tokens": 16} if self.follows_instructions else {}

    def image_was_seen(self, with_image: ChatResponse, without_image: ChatResponse) -> bool:
        """Whether these answers to one question tell that the picture arrived. Override it where they tell otherwise.

        Default: its prompt has more tokens, or where no usage is returned, the answer is another one.
        """
        if self.returns_usage:
            return get_tokens_from_response(with_image)[0] > get_tokens_from_response(without_image)[0]
        return with_image.message.content != without_image.message.content

    @property
    def _secret_params(self) -> dict[str, Any]:
        named = {name: value for name, value in self.llm_params.items() if _is_secret(name)}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in named.items()
            if isinstance(value, (str, SecretStr))
        }

    # --- flags ---

    @property
    def is_chat_model(self) -> bool:
        """`metadata.is_chat_model`: core then sends messages, otherwise prompts."""
        return True

    @property
    def is_function_calling(self) -> bool:
        """`metadata.is_function_calling_model`: tools, function agents, programs, Pydantic selectors."""
        return True

    @property
    def supports_forced_tool_choice(self) -> bool:
        """`tool_required=True` and a tool's name as `tool_choice` make the model call."""
        return self.is_function_calling

    @property
    def supports_parallel_tool_calls(self) -> bool:
        """Several tool calls can come in one answer."""
        return self.is_function_calling

    @property
    def supports_streaming(self) -> bool:
        """Streaming endpoints work, and a long answer comes in several chunks."""
        return True

    @property
    def supports_structured_output(self) -> bool:
        """`structured_predict` and everything built on it gives objects of the class that was asked for."""
        return True

    @property
    def supports_structured_streaming(self) -> bool:
        """`stream_structured_predict` ends with the whole object.

        Core's default, `FunctionCallingProgram.stream_call`, requires no call, so that a model may talk instead.
        """
        return self.supports_structured_output and self.supports_streaming

    @property
    def supports_system_prompt(self) -> bool:
        """Messages of the role "system" are taken."""
        return True

    @property
    def supports_thinking(self) -> bool:
        """Answers have thinking blocks, and streams `additional_kwargs["thinking_delta"]`. Default: False."""
        return False

    @property
    def supports_images(self) -> bool:
        """Image blocks with bytes are taken. Default: False."""
        return False

    @property
    def follows_instructions(self) -> bool:
        """The model does what a prompt says: JSON by instruction, ReAct, choices, yes or no. False for echoes."""
        return True

    @property
    def is_deterministic(self) -> bool:
        """The same question gets the same answer, so that endpoints can be compared. Default: False."""
        return False

    @property
    def returns_usage(self) -> bool:
        """`raw` has a `usage` with the token counts of the server."""
        return True

    @property
    def returns_stream_usage(self) -> bool:
        """The last chunk of a stream has the usage."""
        return self.returns_usage and self.supports_streaming

    @property
    def is_asynchronous(self) -> bool:
        """Asynchronous methods let other tasks run while they wait.

        Core's `CustomLLM` calls the synchronous ones instead, so that its subclasses block the event loop unless they
        write their own.
        """
        return not issubclass(self.llm_class, CustomLLM)

    @property
    def nests_endpoints(self) -> bool:
        """`chat` calls the public `complete` or the other way, so that observers see two calls.

        Core's `CustomLLM` does that to its subclasses; elsewhere it counts tokens twice, and is a fault.
        """
        return issubclass(self.llm_class, CustomLLM)

    @property
    def supports_pickle(self) -> bool:
        """The object can be pickled, and works when it comes out."""
        return True

    @property
    def pickles_secrets(self) -> bool:
        """Pickles carry the key on purpose. Default: False."""
        return False

    # --- fixtures ---

    @pytest.fixture(autouse=True)
    def _skip_what_does_not_apply(self, request: pytest.FixtureRequest) -> None:
        for flag in _find_needs(request):
            value = getattr(self, flag)
            if not value:
                pytest.skip(f"{flag} is {value!r}")
        self.prepare(request.node.name)

    @pytest.fixture
    def llm(self) -> LLM:
        """The LLM under test."""
        return self.make_llm()

    @pytest.fixture
    def failing_llm(self) -> LLM:
        """An LLM whose calls fail."""
        llm = self.make_failing_llm()
        if llm is None:
            pytest.skip("make_failing_llm() gives none")
        return llm

    @pytest.fixture
    def interrupted_llm(self) -> LLM:
        """An LLM whose streams break off."""
        llm = self.make_interrupted_llm()
        if llm is None:
            pytest.skip("make_interrupted_llm() gives none")
        return llm

    @pytest.fixture
    def run(self) -> Iterator[Runner]:
        """Runs coroutines, all of a test in one event loop."""
        runner = Runner()
        asyncio.set_event_loop(runner.loop)  # for core's `asyncio_run`, which otherwise leaves one unclosed
        yield runner
        asyncio.set_event_loop(None)
        runner.close()

    @pytest.fixture(params=["sync", "async"])
    def call(self, request: pytest.FixtureRequest, run: Runner) -> Caller:
        """Calls methods by their synchronous name, in the synchronous or the asynchronous way."""
        return Caller(run if request.param == "async" else None)

    @pytest.fixture
    def recorder(self) -> Iterator[Recorder]:
        """Notes what instrumentation says during the test."""
        with Recorder() as recorder:
            yield recorder

    # --- the suite itself ---

    def test_no_test_is_overridden(self) -> None:
        """A subclass changes flags and hooks; a test it cannot pass stays, with `xfail` and a reason."""
        standard = [base for base in type(self).__mro__ if base.__module__.startswith("llama_index_conformance")]
        for name in {name for base in standard for name in vars(base) if name.startswith("test_")}:
            found = next(base for base in type(self).__mro__ if name in vars(base))
            if found in standard:
                continue
            marks = getattr(vars(found)[name], "pytestmark", [])
            explained = any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
            assert explained, f"{name} is overridden without @pytest.mark.xfail(reason=...)."


def _is_secret(name: str) -> bool:
    return any(part in {"key", "token", "secret", "password"} for part in name.lower().split("_"))
