"""What people write on their second day: it works where it can be meant in one way, and else says what to write."""

from __future__ import annotations

import asyncio
import linecache
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.runnables import RunnableParallel

from kimi_emulator import KimiEmulator
from kimi_wire import KimiError, KimiWarning
from kimi_wire.errors.hints import hint_for
from kimi_wire.errors.refusals import Refusal
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

Make = Callable[..., Callable[..., Any]]


@pytest.fixture(params=[ChatKimi, Kimi], ids=["ChatKimi", "Kimi"])
def asking(request: pytest.FixtureRequest, kimi: KimiEmulator) -> Make:
    """Make a model object with some arguments; returns what asks it."""

    def make(base_url: str = kimi.base_url, **arguments: Any) -> Callable[..., Any]:
        model = request.param(api_key="sk-test", base_url=base_url, max_retries=0, **arguments)
        return model.invoke if isinstance(model, ChatKimi) else model.complete  # type: ignore[no-any-return]

    return make


@pytest.mark.parametrize(
    ("spelt", "sent"),
    [("Kimi K3", "kimi-k3"), (" kimi-k3 ", "kimi-k3"), ("KIMI K2.6", "kimi-k2.6"), ("Kimi-K3", "Kimi-K3")],
)
def test_any_spelling_of_a_model(kimi: KimiEmulator, asking: Make, spelt: str, sent: str) -> None:
    asking(model=spelt)("Hello")
    assert kimi.requests[-1].body["model"] == sent


@pytest.mark.parametrize(
    ("asked", "meant"), [("kimi-k3-prro", "kimi-k3.1-pro"), ("kimi-k33", "kimi-k3"), ("kimi-2.6", "kimi-k2.6")]
)
def test_the_nearest_model_is_named(asking: Make, asked: str, meant: str) -> None:
    with pytest.raises(KimiError, match=f"Did you mean '{meant}'"):
        asking(model=asked)("Hello")


def test_a_model_that_looks_like_none_is_not_guessed(asking: Make) -> None:
    with pytest.raises(KimiError, match="Not found the model") as caught:
        asking(model="llama-4")("Hello")
    assert "Did you mean" not in str(caught.value)


def test_a_base_url_without_its_version_is_not_taken_for_a_retired_model(kimi: KimiEmulator, asking: Make) -> None:
    root = kimi.base_url.removesuffix("/v1")
    with pytest.raises(KimiError, match=f"Set base_url='{root}/v1'") as caught:
        asking(base_url=root)("Hello")
    assert "retired" not in str(caught.value)
    elsewhere = hint_for(Refusal(404, "The model `x` does not exist"), "https://h/openai/chat/completions")
    assert "base_url" not in elsewhere


def test_a_proxy_that_is_not_there_is_named(asking: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://ada:hush@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(
        KimiError, match=r"not reached through the proxy http://127\.0\.0\.1:9 of the environment"
    ) as caught:
        asking(base_url="http://api.example.com/v1")("Hello")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "disabled"}, {"type": "disabled"}),
        ({"type": "enabled", "keep": "all"}, {"type": "enabled", "keep": "all"}),
        ({"type": "enabled", "keep": None}, {"type": "enabled"}),
    ],
)
def test_the_apis_own_thinking_object_is_understood(kimi: KimiEmulator, asking: Make, given: Any, sent: Any) -> None:
    before = dict(given)
    asking(model="kimi-k2.6", thinking=given)("Hello")
    assert kimi.requests[-1].body["thinking"] == sent
    asking(model="kimi-k2.6")("Hello", thinking=given)
    assert kimi.requests[-1].body["thinking"] == sent
    assert given == before


@pytest.mark.parametrize("given", [{"type": "adaptive"}, {"type": "enabled", "effort": "high"}, {}, {"type": ["x"]}])
def test_other_thinking_objects_say_what_to_write(kimi: KimiEmulator, asking: Make, given: Any) -> None:
    with pytest.raises((KimiError, ValueError), match=r"Write thinking=True or False"):
        asking(thinking=given)
    with pytest.raises(KimiError, match=r"Write thinking=True or False"):
        asking()("Hello", thinking=given)
    assert not kimi.requests


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("response_format", "Give it with a call"),
        ("tools", "Give it with a call"),
        ("seed", "no reproducible sampling"),
        ("user", "Use safety_identifier"),
        ("functions", "Use tools"),
        ("timout", "Did you mean 'timeout'"),
        ("brand_new", r"extra_body=\{'brand_new': ...\}"),
    ],
)
def test_constructors_say_what_to_do_about_other_words(asking: Make, name: str, hint: str) -> None:
    with pytest.raises((KimiError, ValueError), match=hint):
        asking(**{name: "x"})


def test_a_key_or_a_timeout_of_another_kind_is_a_typed_error() -> None:
    for model_class in (ChatKimi, Kimi):
        with pytest.raises(
            (KimiError, ValueError), match="api_key is of type int; give the key as text, or a function"
        ):
            model_class(api_key=5)
        with pytest.raises((KimiError, ValueError), match="timeout"):
            model_class(api_key="sk-x", timeout="5s")


def test_a_warning_is_of_the_callers_line(asking: Make) -> None:
    ask = asking(model="kimi-k2.6", temperature=0.3)
    with pytest.warns(KimiWarning) as heard:
        ask("Hello")
    assert is_at(heard[0], 'ask("Hello")')


def is_at(warning: warnings.WarningMessage, line: str) -> bool:
    """Whether a warning points at a line of this file."""
    return warning.filename == __file__ and line in linecache.getline(__file__, warning.lineno)


@pytest.mark.parametrize("times", [1, 2])
def test_a_warning_of_a_pools_thread_is_of_the_line_that_waits_for_it(kimi: KimiEmulator, times: int) -> None:
    def model() -> ChatKimi:
        return ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url, temperature=0.3)

    asked = ["Hello"] * times
    with pytest.warns(KimiWarning) as heard:
        model().batch(asked)
    assert is_at(heard[0], "model().batch(")
    with pytest.warns(KimiWarning) as heard:
        for _ in model().batch_as_completed([*asked, "Hi"]):
            pass
    assert is_at(heard[0], "in model().batch_as_completed(")
    with pytest.warns(KimiWarning) as heard:
        RunnableParallel(a=model(), b=str).invoke("Hello")
    assert is_at(heard[0], "RunnableParallel(")
    llm = Kimi(model="kimi-k2.6", api_key="sk-test", api_base=kimi.base_url, temperature=0.3)
    with pytest.warns(KimiWarning) as heard, ThreadPoolExecutor(2) as pool:
        list(pool.map(llm.complete, asked))
    assert is_at(heard[0], "list(pool.map(")


def test_a_warning_of_a_thread_is_of_the_line_that_joins_it(kimi: KimiEmulator) -> None:
    """Of this thread: others that are joined meanwhile are somebody else's."""
    model = ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url, temperature=0.3)
    done = threading.Event()
    waiting = threading.Thread(target=done.wait)
    joining = threading.Thread(target=lambda: waiting.join())
    asking = threading.Timer(0.2, lambda ask: ask("Hello"), args=[model.invoke])
    bound = threading.Timer(0.2, model.invoke, args=["Hello"])
    for thread in (waiting, joining):
        thread.start()
    try:
        bound.start()
        with pytest.warns(KimiWarning) as heard:
            bound.join()
        assert is_at(heard[0], "bound.join()")
        model._warned.clear()
        asking.start()
        with pytest.warns(KimiWarning) as heard:
            asking.join()
        assert is_at(heard[0], "lambda ask: ask(")
    finally:
        done.set()
        joining.join()
        waiting.join()


def test_a_warning_of_a_task_is_of_the_line_that_runs_it(kimi: KimiEmulator) -> None:
    model = ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url, temperature=0.3)
    with pytest.warns(KimiWarning) as heard:
        asyncio.run(model.abatch(["Hello", "Hi"]))
    assert is_at(heard[0], "asyncio.run(model.abatch(")


def test_a_warning_is_of_no_thread_where_several_wait(kimi: KimiEmulator) -> None:
    """A line of somebody else would mislead."""
    model = ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url, temperature=0.3)
    done = threading.Event()

    def wait_too() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(done.wait).result()

    other = threading.Thread(target=wait_too)
    other.start()
    while sys._current_frames()[other.ident or 0].f_code.co_name != "wait":
        time.sleep(0.001)
    try:
        with pytest.warns(KimiWarning) as heard:
            model.batch(["Hello", "Hi"])
    finally:
        done.set()
        other.join()
    assert heard[0].filename != __file__
