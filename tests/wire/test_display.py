"""What a reader sees of a conversation, on a terminal and in a notebook."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from kimi_wire import display
from kimi_wire.display import Transcript


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The outputs of a notebook's cell: for each, everything it showed, the last last."""
    outputs: list[list[str]] = []

    class Handle:
        def __init__(self, drawing: Any) -> None:
            self.shown = [drawing.data]
            outputs.append(self.shown)

        def update(self, drawing: Any) -> None:
            self.shown.append(drawing.data)

    import IPython.display

    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(IPython.display, "display", lambda drawing, display_id: Handle(drawing))
    return outputs


def hold(transcript: Transcript) -> None:
    transcript.add("thinking", "Is <it> ")
    transcript.add("thinking", "so?")
    transcript.add("call", "{}", title="look_up")
    transcript.add("call", '{"city"', title="get_weather")
    transcript.add("call", ': "Paris"}')
    transcript.add("result", "Sunny & warm", title="get_weather")
    transcript.add("text", "")
    transcript.add("text", "It is **so**.")
    transcript.close()
    transcript.close()


def test_a_terminal_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    hold(Transcript())
    assert capsys.readouterr().out.splitlines() == [
        "(thinking) Is <it> so?",
        "-> look_up {}",
        '-> get_weather {"city": "Paris"}',
        "<- get_weather: Sunny & warm",
        "It is **so**.",
    ]


def test_a_terminal_with_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    transcript = Transcript()
    transcript.add("thinking", "Hm.")
    transcript.add("text", "Yes.")
    transcript.close()
    assert capsys.readouterr().out == "\033[2;3mHm.\033[0m\n\033[0mYes.\033[0m\n"


def test_a_notebook_folds_the_thinking_once_it_is_done(page: list[list[str]]) -> None:
    hold(Transcript())
    thinking, first_call, second_call, result, text = page
    assert thinking[0].startswith("<details open>")
    assert thinking[-1].startswith("<details><summary>Thinking</summary>")
    assert "Is &lt;it&gt; so?" in thinking[-1]
    assert "<code>look_up</code>" in first_call[-1]
    assert "{&quot;city&quot;: &quot;Paris&quot;}" in second_call[-1]
    assert "Sunny &amp; warm" in result[-1]
    assert text[-1] == "It is **so**."


def test_a_notebook_draws_at_a_pace_that_eyes_can_follow(
    page: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(number / 100 for number in range(1000, 100000))
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    transcript = Transcript()
    for _ in range(500):
        transcript.add("text", "word ")
    transcript.close()
    (shown,) = page
    assert 5 < len(shown) < 80
    assert shown[-1] == "word " * 500


def test_a_kernel_less_ipython_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace())
    transcript = Transcript()
    transcript.add("text", "plain")
    transcript.close()
    monkeypatch.delitem(sys.modules, "IPython")
    transcript = Transcript()
    transcript.add("text", "plainer")
    transcript.close()
    assert capsys.readouterr().out == "plain\nplainer\n"
