"""What the model objects of both frameworks do alike: their settings, requests, client and pickles.

`ChatKimi` and `Kimi` are Pydantic models with a field for each of `CONNECTION`, for most of
`kimi_wire.settings.SETTINGS`, and with two private attributes: `_connection`, which `client_of` keeps, and `_warned`,
the settings that were warned about.

Deliberately absent: a base class for both. Each has its framework's own, and functions say as much without a second one
in every reader's `help()`. Nor is a key that was found in the environment ever kept in a field: it may change, and
fields are what copies, dumps and pickles are made of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kimi_wire.answers import Completion, explain_answer
from kimi_wire.borrowed import NO_SETTINGS
from kimi_wire.endpoints import KimiClient
from kimi_wire.hosts import host_for, profile_at
from kimi_wire.kinds import check_options
from kimi_wire.log import listen
from kimi_wire.profiles import Profile, profile_for
from kimi_wire.requests import Request, check_settings, render_request
from kimi_wire.settings import SETTINGS, merge_settings, rename_settings, split_options
from kimi_wire.transport import KeyFunction, resolve_api_key, resolve_base_url, resolve_headers
from kimi_wire.warn import warn

CONNECTION = (
    "timeout",
    "stream_idle_timeout",
    "max_retries",
    "default_headers",
    "http_client",
    "http_async_client",
)
"""The fields that say how to reach the server, beside its key and address."""

SECRET = ("default_headers", "http_client", "http_async_client")
"""Those that no dump and no pickle has, beside the key: they may hold secrets, or cannot be stored."""

_CONNECTING = threading.Lock()


def own_settings(model: Any) -> dict[str, Any]:
    """The settings of a model object's constructor, by the names of `kimi_wire.settings.Settings`."""
    fields = type(model).model_fields
    return {name: getattr(model, name) for name in SETTINGS if name in fields}


def check_fields(model: Any, settings: Mapping[str, Any], base_url: str | None) -> None:
    """Refuse at construction what every request of a model object would be refused for.

    Args:
        model: The model object.
        settings: Its settings.
        base_url: Where its requests are sent to; None is Moonshot's platform.

    Raises:
        KimiRequestError: A setting or an option of the connection is wrong.
    """
    listen()
    check_options({name: getattr(model, name) for name in CONNECTION})
    check_settings(settings, base_url or "")


def profile_asked(own: Mapping[str, Any], call: Mapping[str, Any], base_url: str | None) -> Profile:
    """What the model of a call takes where it is: the model and the dialect of the call count before the object's.

    Args:
        own: The model object's settings.
        call: What one call gives; other things may be among it.
        base_url: Where it is sent to; None is Moonshot's platform.

    Raises:
        KimiRequestError: There is no such dialect.
    """
    settings = rename_settings({name: value for name, value in call.items() if name not in NO_SETTINGS})
    asked = {**own, **{name: value for name, value in settings.items() if value is not None}}
    return profile_at(profile_for(asked["model"]), host_for(asked["dialect"], base_url or ""))


def render_call(
    own: Mapping[str, Any],
    call: Mapping[str, Any],
    messages: Iterable[Mapping[str, Any]],
    *,
    stream: bool,
    base_url: str | None,
) -> tuple[Request, dict[str, Any]]:
    """Render the request of one call.

    Args:
        own: The model object's settings.
        call: What the call gives: settings, and options for the client.
        messages: The conversation, in the API's form.
        stream: Whether the answer is streamed.
        base_url: Where it is sent to; None is Moonshot's platform.

    Returns:
        The request, and `timeout`, `max_retries` and `headers` of the call.

    Raises:
        KimiRequestError: The request cannot be sent as asked.
    """
    options, asked = split_options(rename_settings(call))
    settings, notices = merge_settings(own, asked)
    request = render_request(settings, list(messages), stream=stream, notices=notices, base_url=base_url or "")
    return request, options


def prepare(
    own: Mapping[str, Any],
    call: Mapping[str, Any],
    messages: Iterable[Mapping[str, Any]],
    *,
    stream: bool,
    base_url: str | None,
    warned: set[str],
) -> tuple[Request, dict[str, Any]]:
    """Render the request of one call, and warn about what it leaves out, once for each setting.

    Args:
        own: See `render_call`.
        call: See there.
        messages: See there.
        stream: See there.
        base_url: See there.
        warned: The settings that were warned about; new ones are added.

    Returns:
        The request, and `timeout`, `max_retries` and `headers` of the call.

    Raises:
        KimiRequestError: The request cannot be sent as asked.
    """
    request, options = render_call(own, call, messages, stream=stream, base_url=base_url)
    for notice in request.notices:
        if notice.setting not in warned:
            warned.add(notice.setting)
            warn(notice.message)
    return request, options


def explain(completion: Completion, *, has_all: bool = False) -> None:
    """Warn about what is wrong with an answer that came with success.

    Args:
        completion: The answer.
        has_all: Whether the caller gets all answers, where the server sent several.
    """
    for explanation in explain_answer(completion.choice):
        warn(explanation)
    if len(completion.choices) > 1 and not has_all:
        warn(
            f"The server sent {len(completion.choices)} answers (n), and the first is given: a stream has one, and so "
            "has a response of LlamaIndex. `ChatKimi.generate` gives all."
        )


def client_of(model: Any, key_field: str, url_field: str) -> KimiClient:
    """The client for a model object's fields as they are now: they can be assigned to, and a copy may have others.

    Args:
        model: The model object.
        key_field: The field that has its key; where that is empty, each call takes the environment's.
        url_field: The field that has its address; likewise.

    Raises:
        KimiMissingKeyError: There is no key.
    """
    arguments = {name: getattr(model, name) for name in CONNECTION}
    arguments["default_headers"] = resolve_headers(model.default_headers)  # which can be changed in place
    arguments["base_url"] = resolve_base_url(getattr(model, url_field))
    arguments["api_key"] = resolve_api_key(getattr(model, key_field))
    with _CONNECTING:  # threads that begin together share one client, and what it uploaded
        if model._connection is None or model._connection[0] != arguments:
            model._connection = arguments, KimiClient(**arguments)
        client: KimiClient = model._connection[1]
        return client


def hide_keys(arguments: dict[str, Any], names: Iterable[str], secret: Callable[[str], Any]) -> None:
    """Have a constructor's arguments hold keys without their reprs: a traceback may be printed with its variables.

    Args:
        arguments: The arguments; changed.
        names: Those that may hold a key.
        secret: Pydantic's `SecretStr`.
    """
    for name in names:
        value = arguments.get(name)
        if isinstance(value, str):
            arguments[name] = secret(value)
        elif callable(value):
            arguments[name] = KeyFunction.of(value)


def field_key(api_key: Any, secret: Callable[[str], Any]) -> Any:
    """What a field keeps of a key: the key in a `SecretStr`, or the function that gives it.

    Args:
        api_key: See `resolve_api_key`.
        secret: Pydantic's `SecretStr`.

    Raises:
        KimiMissingKeyError: There is none.
    """
    try:
        key = resolve_api_key(api_key)
        return key if isinstance(key, KeyFunction) else secret(key)
    finally:
        api_key = None  # a traceback may be printed with its variables


def without_secrets(model: Any, *secret: str) -> Any:
    """A copy of a Pydantic model for a pickle, without secrets and connections: nobody expects a key in a pickle.

    Args:
        model: The model object; not changed.
        secret: Fields to leave empty beside `SECRET`.
    """
    bare = model.model_copy(update=dict.fromkeys((*SECRET, *secret)))
    object.__setattr__(bare, "__pydantic_private__", _new_private(type(model)))
    return bare


def fill_state(model_class: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state that a Pydantic model comes out of a pickle with: what was left behind, or is new, has its default.

    The key is found with the first call. Where there is none that call raises, and not this: a `multiprocessing.Pool`
    whose workers cannot read their tasks waits forever.

    Args:
        model_class: The model's class.
        state: What Pydantic's `__getstate__` gave, in this version or an older one.
    """
    fields = {
        name: field.get_default(call_default_factory=True)
        for name, field in model_class.model_fields.items()
        if name not in state["__dict__"]
    }
    return {**state, "__dict__": {**fields, **state["__dict__"]}, "__pydantic_private__": _new_private(model_class)}


def _new_private(model_class: Any) -> dict[str, Any]:
    return {name: attribute.get_default() for name, attribute in model_class.__private_attributes__.items()}
