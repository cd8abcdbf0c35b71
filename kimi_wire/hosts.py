"""What each kind of host makes of Kimi's models: one row of sourced facts per dialect, and a lookup that never fails.

Moonshot's own platform is one host of many. Self-hosted vLLM and SGLang, OpenRouter and others serve the same models
with other words for thinking, reasoning and Partial Mode, and some refuse fields that they do not know. Nothing else in
the project compares hosts' names: `kimi_wire.requests` reads the row, and so does whatever goes on with its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON
from kimi_wire.profiles import ForcedChoice, Profile, Source

MEDIA_URLS = ("data:", "ms://")
"""How the URLs of images and videos begin that Moonshot's platform takes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the thinking, the family's rules applied.

    Attributes:
        on: Whether to think; None leaves it to the model.
        keep: Earlier turns' thinking is to be shown to the model, where that is a choice.
        always: The family always thinks, and always sees its earlier thinking.
        effort: How hard.
    """

    on: bool | None = None
    keep: bool = False
    always: bool = False
    effort: str | None = None


class Beginning(Enum):
    """How a host is told to go on from the last message (Partial Mode)."""

    MESSAGE = "message"  # `partial: true` on the message
    TEMPLATE = "template"  # `continue_final_message: true, add_generation_prompt: false` in the body
    NONE = "none"  # not at all, or it takes the mark and does nothing with it


def _by_thinking(wish: Wish) -> JSON:
    """`thinking: {type, keep}` and `reasoning_effort`, Moonshot's own."""
    rendered: JSON = {} if wish.effort is None else {"reasoning_effort": wish.effort}
    if wish.on is False:
        return {**rendered, "thinking": {"type": "disabled"}}
    if wish.keep:
        return {**rendered, "thinking": {"type": "enabled", "keep": "all"}}
    return {**rendered, "thinking": {"type": "enabled"}} if wish.on else rendered


def _by_allowed_thinking(wish: Wish) -> JSON:
    """Moonshot's words, and LiteLLM's leave to pass on what it does not know of Moonshot's models."""
    rendered = _by_thinking(wish)
    return {**rendered, "allowed_openai_params": ["thinking"]} if "thinking" in rendered else rendered


def _by_type(wish: Wish) -> JSON:
    return _by_thinking(replace(wish, keep=False))


def _by_template(wish: Wish) -> JSON:
    """Variables of the chat template; those that a template does not have are without effect."""
    if wish.on is False:
        return {"chat_template_kwargs": {"thinking": False}}
    kwargs: JSON = {}
    if wish.on or wish.keep or wish.always:
        kwargs["thinking"] = True
    if wish.keep or wish.always:
        kwargs["preserve_thinking"] = True
    if wish.effort is not None:
        kwargs["thinking_effort"] = wish.effort
    return {"chat_template_kwargs": kwargs} if kwargs else {}


def _by_reasoning(wish: Wish) -> JSON:
    if wish.effort is not None:
        return {"reasoning": {"effort": wish.effort}}
    return {} if wish.on is None else {"reasoning": {"enabled": wish.on}}


def _by_reasoning_and_effort(wish: Wish) -> JSON:
    return _by_effort(wish) | _by_reasoning(replace(wish, effort=None))


def _by_enabling(wish: Wish) -> JSON:
    return _by_effort(wish) | ({} if wish.on is None else {"enable_thinking": wish.on})


def _by_enabling_and_keeping(wish: Wish) -> JSON:
    kept = wish.keep and wish.on is not False
    return _by_enabling(replace(wish, on=True) if kept else wish) | ({"preserve_thinking": True} if kept else {})


def _by_effort(wish: Wish) -> JSON:
    return {} if wish.effort is None else {"reasoning_effort": wish.effort}


@dataclass(frozen=True, slots=True)
class Host:
    """The facts about one kind of host.

    Attributes:
        name: The dialect's name.
        addresses: Host names that speak it, with their subdomains.
        thinking: Writes what is asked of the thinking as fields of the body.
        reasoning_key: The assistant message's key for reasoning that goes out; None sends none. Both are read.
        reasoning_details: Takes the array `reasoning_details` back, and wants it as it came.
        beginning: See `Beginning`.
        native_ids: Tool call ids are put into the prompt as they are, so that models that learned
            `functions.{name}:{index}` are sent just that.
        fixed_sampling: The models' sampling parameters have one value each, as on Moonshot's platform.
        native_choice: Takes any forced tool choice, thinking or not.
        required_choice: Hands on the choice `required`.
        parallel_choice: Takes `parallel_tool_calls`, and keeps to it.
        needs_reasoning: Has refused assistant messages without their reasoning, as Moonshot's platform has.
        effort_can_stop: Models with a `reasoning_effort` can be told not to think at all.
        media_urls: How the URLs of images and videos begin that it takes.
        cap: The field that caps the answer.
        stream_options: Takes `stream_options`.
        left_out: Settings that it refuses.
        tool_names: Takes a `name` on tool messages.
        null_content: Wants the key `content` on every assistant message, null where that says nothing.
        dynamic_tools: Takes tools in system messages, from models that do.
        builtin_tools: Has the functions of Moonshot's server, such as `$web_search`.
        sources: Field name -> where the fact comes from, for what differs from Moonshot's.
    """

    name: str
    addresses: tuple[str, ...] = ()
    thinking: Callable[[Wish], JSON] = _by_thinking
    reasoning_key: str | None = "reasoning_content"
    reasoning_details: bool = False
    beginning: Beginning = Beginning.MESSAGE
    native_ids: bool = False
    fixed_sampling: bool = True
    native_choice: bool = False
    required_choice: bool = True
    parallel_choice: bool = False
    needs_reasoning: bool = True
    effort_can_stop: bool = False
    media_urls: tuple[str, ...] = MEDIA_URLS
    cap: str = "max_completion_tokens"
    stream_options: bool = True
    left_out: frozenset[str] = frozenset()
    tool_names: bool = True
    null_content: bool = False
    dynamic_tools: bool = True
    builtin_tools: bool = True
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}), repr=False)


_TEMPLATE = Source("https://docs.sglang.io/docs/basic_usage/kimi_k2_5", date(2026, 8, 1), "doc")
_K3_PARSER = Source("docs.vllm.ai/en/stable/api/vllm/reasoning/kimi_k3_reasoning_parser", date(2026, 9, 1), "doc")
_VLLM_REASONING = Source("vllm-project/vllm#38488", date(2026, 3, 29), "live")
_SGLANG_PROTOCOL = Source("sgl-project/sglang: entrypoints/openai/protocol.py", date(2026, 2, 1), "3p")
_VLLM_PROTOCOL = Source("vllm-project/vllm: entrypoints/openai/chat_completion/protocol.py", date(2026, 9, 1), "3p")
_NATIVE_IDS = Source("MoonshotAI/Kimi-K2: docs/tool_call_guidance.md", date(2026, 8, 13), "doc")
_VLLM_REQUEST = Source("vllm-project/vllm 0.33: its request models", date(2026, 11, 26), "3p")
_SGLANG_REQUEST = Source("sgl-project/sglang 0.5.23: its request models", date(2026, 11, 26), "3p")
_LITELLM = Source("BerriAI/litellm 1.108.7: llms/moonshot/chat/transformation.py", date(2026, 11, 26), "live")
_OPEN_WEIGHTS = Source("vllm-project/vllm#43155", date(2026, 5, 20), "3p")
_CHUTES = Source("chutesai/chutes#22", date(2025, 9, 1), "live")
_MAX_TOKENS = Source("1Panel-dev/MaxKB#2912", date(2025, 4, 17), "live")
_OPENROUTER = Source("https://openrouter.ai/docs/use-cases/reasoning-tokens", date(2026, 10, 1), "doc")
_OPENROUTER_K3 = Source("https://openrouter.ai/moonshotai/kimi-k3.1-pro/llms.txt", date(2026, 10, 26), "doc")
_PREFILL = Source("tashfeenahmed/freellmapi#1038", date(2026, 8, 1), "live")
_FIREWORKS = Source("https://docs.fireworks.ai/guides/reasoning", date(2026, 9, 1), "doc")
_FIREWORKS_EXTRA = Source("vercel/ai#18306", date(2026, 8, 1), "live")
_FIREWORKS_STREAM = Source("FlowiseAI/Flowise#2866", date(2024, 7, 24), "live")
_FIREWORKS_MESSAGE = Source("theopenco/llmgateway#3274", date(2026, 7, 1), "live")
_GROQ = Source("tashfeenahmed/freellmapi#1070", date(2026, 8, 30), "live")
_GROQ_REASONING = Source("musistudio/llms#64", date(2025, 12, 31), "live")
_TOGETHER = Source("https://docs.together.ai/docs/inference/chat/reasoning", date(2026, 9, 1), "doc")
_DASHSCOPE = Source("https://help.aliyun.com/en/model-studio/kimi-api-by-moonshot-ai", date(2026, 9, 1), "doc")
_SILICONFLOW = Source("https://docs.siliconflow.cn/docs/api/chat-completions-post", date(2026, 9, 1), "doc")
_OPENAI = Source("https://platform.openai.com/docs/api-reference/chat/create", date(2026, 9, 1), "doc")
_DECIDED = Source("the reading that every report accepts", date(2026, 11, 21), "rule")
_NULL_CONTENT = Source("MoonshotAI/kimi-code#3017", date(2026, 8, 18), "live")

_WEB = ("data:", "http://", "https://")


def _like(base: Host, name: str, *addresses: str, **facts: tuple[Any, Source]) -> Host:
    """A row that differs from another one in these facts, each with its source."""
    values = {fact: value for fact, (value, _) in facts.items()}
    sources = {**base.sources, **{fact: source for fact, (_, source) in facts.items()}}
    return replace(base, name=name, addresses=addresses, sources=MappingProxyType(sources), **values)


MOONSHOT = Host(
    "moonshot",
    ("api.moonshot.ai", "api.moonshot.cn", "api.kimi.com", "api.kimi.ai", "localhost", "127.0.0.1", "::1"),
)
"""Moonshot's own platform, and its stand-in on this machine, which gets the same bytes."""

# Gateways have answered a missing key with "422, message.6.content invalid input", and the conversation stays broken;
# Moonshot's own client sends null to every host but its own since then (MoonshotAI/kimi-code PR3052).
_UNKNOWN = _like(MOONSHOT, MOONSHOT.name, null_content=(True, _NULL_CONTENT))
"""An address that nothing is known of: a proxy in front of Moonshot's platform, most likely."""

# What holds everywhere but on Moonshot's platform. `max_completion_tokens` has been refused by older servers
# ("Extra inputs are not permitted"), `max_tokens` by none. `ms://` ids are of Moonshot's file store, and builtin
# functions run in its server. Partial Mode and dynamic tools are Moonshot's own inventions, and a mark that is dropped
# on the way gives an answer that begins anew.
_ELSEWHERE = _like(
    MOONSHOT,
    "(elsewhere)",
    media_urls=(_WEB, _DECIDED),
    cap=("max_tokens", _MAX_TOKENS),
    beginning=(Beginning.NONE, _PREFILL),
    dynamic_tools=(False, _DECIDED),
    null_content=(True, _NULL_CONTENT),
    builtin_tools=(False, _VLLM_REQUEST),
)
# Whoever runs the open weights has their own engine under them: no parameter is locked to a value, and "tool_choice
# 'required' is incompatible with thinking enabled" is said by Moonshot's platform alone.
_SELF_RUN = _like(
    _ELSEWHERE,
    "(self-run)",
    fixed_sampling=(False, _VLLM_PROTOCOL),
    native_choice=(True, _OPEN_WEIGHTS),
    needs_reasoning=(False, _DECIDED),
)
_VLLM = _like(
    _SELF_RUN,
    "vllm",
    thinking=(_by_template, _TEMPLATE),
    # "reasoning_content silently dropped on incoming assistant messages": vLLM reads `reasoning` alone.
    reasoning_key=("reasoning", _VLLM_REASONING),
    beginning=(Beginning.TEMPLATE, _VLLM_PROTOCOL),
    native_ids=(True, _NATIVE_IDS),
    effort_can_stop=(True, _K3_PARSER),
    media_urls=(_WEB, _VLLM_PROTOCOL),
    parallel_choice=(True, _VLLM_REQUEST),
    dynamic_tools=(True, _VLLM_REQUEST),
)
_SGLANG = _like(
    _VLLM,
    "sglang",
    reasoning_key=("reasoning_content", _SGLANG_PROTOCOL),  # it did not follow vLLM's rename
    beginning=(Beginning.TEMPLATE, _SGLANG_PROTOCOL),
    fixed_sampling=(False, _SGLANG_PROTOCOL),
    parallel_choice=(True, _SGLANG_REQUEST),
    dynamic_tools=(True, _SGLANG_REQUEST),
)
# A strict host of OpenAI's fields alone. Sending too little is refused nowhere.
_OPENAI_FIELDS = _like(
    _SELF_RUN,
    "openai",
    thinking=(_by_effort, _OPENAI),
    reasoning_key=(None, _OPENAI),
    left_out=(frozenset({"prompt_cache_key", "safety_identifier"}), _OPENAI),
    tool_names=(False, _OPENAI),
)

_ROWS = (
    MOONSHOT,
    _VLLM,
    _SGLANG,
    _like(
        _ELSEWHERE,
        "openrouter",
        "openrouter.ai",
        thinking=(_by_reasoning, _OPENROUTER),
        reasoning_key=("reasoning", _OPENROUTER),
        reasoning_details=(True, _OPENROUTER),
        cap=("max_tokens", _OPENROUTER_K3),
    ),
    # Its proxy before Moonshot's platform, which everything but these goes through to. "moonshot does not support
    # parameters: ['thinking']" unless it is allowed. In place of the choice `required` it puts a user's message,
    # "Please select a tool to handle the current issue."
    _like(
        _UNKNOWN,
        "litellm",
        thinking=(_by_allowed_thinking, _LITELLM),
        required_choice=(False, _LITELLM),
        cap=("max_tokens", _LITELLM),
    ),
    _OPENAI_FIELDS,
    _like(
        _SELF_RUN,
        "fireworks",
        "api.fireworks.ai",
        thinking=(_by_type, _FIREWORKS),
        stream_options=(False, _FIREWORKS_STREAM),  # the last chunk has the usage all the same
        left_out=(frozenset({"safety_identifier"}), _FIREWORKS_EXTRA),
        tool_names=(False, _FIREWORKS_MESSAGE),
    ),
    _like(
        _SELF_RUN,
        "together",
        "api.together.xyz",
        "api.together.ai",
        thinking=(_by_reasoning_and_effort, _TOGETHER),
        reasoning_key=("reasoning", _TOGETHER),
    ),
    _like(
        _OPENAI_FIELDS,
        "groq",
        "api.groq.com",
        thinking=(_by_effort, _GROQ_REASONING),
        # "for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is
        # unsupported)]"
        reasoning_key=(None, _GROQ),
    ),
    _like(
        _ELSEWHERE,
        "dashscope",
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        thinking=(_by_enabling_and_keeping, _DASHSCOPE),
    ),
    _like(
        _SELF_RUN,
        "siliconflow",
        "api.siliconflow.cn",
        "api.siliconflow.com",
        thinking=(_by_enabling, _SILICONFLOW),
        cap=("max_tokens", _SILICONFLOW),
        needs_reasoning=(True, _DECIDED),  # it refuses a missing one with its code 20015
    ),
    _like(_SGLANG, "chutes", "llm.chutes.ai", beginning=(Beginning.NONE, _CHUTES)),
)

HOSTS: Mapping[str, Host] = MappingProxyType({host.name: host for host in _ROWS})
"""Every known dialect by its name."""

AUTO = "auto"

Dialect = Literal[
    "auto",
    "moonshot",
    "vllm",
    "sglang",
    "openrouter",
    "litellm",
    "openai",
    "fireworks",
    "together",
    "groq",
    "dashscope",
    "siliconflow",
    "chutes",
]
"""What the setting `dialect` may be: `auto`, and the names of `HOSTS`, for type checkers."""

_ADDRESSES = {address: host for host in HOSTS.values() for address in host.addresses}


def host_for(dialect: str, base_url: str = "") -> Host:
    """Find the row of a dialect.

    Args:
        dialect: A name of `HOSTS`, or `auto`: what the host of `base_url` is known to speak, else what a proxy of
            Moonshot's takes.
        base_url: Where requests are sent to.

    Raises:
        KimiRequestError: There is no such dialect.
    """
    if isinstance(dialect, str) and dialect in HOSTS:
        return HOSTS[dialect]
    if dialect != AUTO:
        raise KimiRequestError(f"dialect={dialect!r} is not one of {', '.join([AUTO, *HOSTS])}.")
    # Whole labels only: "moonshot.ai.evil.com" is somebody else (NousResearch/hermes-agent#13503).
    labels = (urlsplit(base_url).hostname or "").split(".")
    names = (".".join(labels[start:]) for start in range(len(labels)))
    return next((_ADDRESSES[name] for name in names if name in _ADDRESSES), _UNKNOWN if base_url else MOONSHOT)


def profile_at(profile: Profile, host: Host) -> Profile:
    """A family's facts as they are on a host; those of other vendors' models are nowhere different."""
    if host.name == MOONSHOT.name or not profile.is_kimi:
        return profile
    choice = ForcedChoice.NATIVE if host.native_choice else profile.forced_choice
    if not host.required_choice and choice is not ForcedChoice.ASK:
        choice = ForcedChoice.CONSTRAINED if profile.json_schema else ForcedChoice.ASK
    return replace(
        profile,
        fixed_sampling=profile.fixed_sampling if host.fixed_sampling else MappingProxyType({}),
        forced_choice=choice,
        needs_reasoning=profile.needs_reasoning and host.needs_reasoning,
        partial=profile.partial and host.beginning is not Beginning.NONE,
        dynamic_tools=profile.dynamic_tools and host.dynamic_tools,
        cache_ttls=(),  # as this is Moonshot's, who bills it
        retired=None,
    )
