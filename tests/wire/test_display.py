"""What a reader sees of a conversation, on a terminal and in a notebook."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_wire import display
from kimi_wire.display import Transcript

Page = dict[str, list[dict[str, str]]]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The outputs of a notebook's cell: for each, everything it showed by media type, the last last."""
    outputs: dict[str, list[dict[str, str]]] = {}

    def publish(data: dict[str, str], metadata: Any, *, transient: Any, update: bool = False, **_: Any) -> None:
        assert update == (transient["display_id"] in outputs)
        outputs.setdefault(transient["display_id"], []).append(data)

    import IPython.core.display_functions as functions
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(functions, "publish_display_data", publish)
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(
        InteractiveShell, "instance", lambda: SimpleNamespace(display_formatter=SimpleNamespace(format=None))
    )
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


def test_a_notebook_folds_the_thinking_once_it_is_done(page: Page) -> None:
    hold(Transcript())
    thinking, first_call, second_call, result, text = page.values()
    assert thinking[0]["text/html"].startswith("<details open>")
    assert thinking[-1]["text/html"].startswith("<details><summary>Thinking</summary><pre ")
    assert "Is &lt;it&gt; so?</pre>" in thinking[-1]["text/html"]
    assert (
        "word-break: normal; overflow-wrap: break-word" in thinking[-1]["text/html"]
    )  # JupyterLab breaks at any letter
    assert "<code>look_up</code>" in first_call[-1]["text/html"]
    assert "{&quot;city&quot;: &quot;Paris&quot;}" in second_call[-1]["text/html"]
    assert "Sunny &amp; warm" in result[-1]["text/html"]
    assert text[-1]["text/markdown"] == "It is **so**."


def test_pages_without_html_say_what_a_fold_holds(page: Page) -> None:
    hold(Transcript())
    assert [shown[-1]["text/plain"] for shown in page.values()] == [
        "Thinking: Is <it> so?",
        "Calls look_up: {}",
        'Calls get_weather: {"city": "Paris"}',
        "Result of get_weather: Sunny & warm",
        "It is **so**.",
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It is $5 and $10.", r"It is <span>\$</span>5 and <span>\$</span>10."),
        (r"It is \$5 and \$10.", r"It is <span>\$</span>5 and <span>\$</span>10."),
        ("$web_search says: US$5-$10", r"<span>\$</span>web_search says: US<span>\$</span>5-<span>\$</span>10"),
        ("So $x^2 + 1$ is even, and $$\n\\sum_i i\n$$ too.", None),
        ("Set `$HOME` or ``a ` $b`` first.", None),
        ("```bash\necho $HOME $PATH\n```\nDone.", None),
        ("```bash\necho $HOME and", None),
        ("A \\* b", None),
        ("One $ alone, 5 $ more", r"One <span>\$</span> alone, 5 <span>\$</span> more"),
    ],
)
def test_dollars_are_dollars_unless_they_stand_around_mathematics(page: Page, said: str, shown: str | None) -> None:
    transcript = Transcript()
    transcript.add("text", said)
    transcript.close()
    ((*_, last),) = page.values()
    assert last == {"text/markdown": said if shown is None else shown, "text/plain": said}


@settings(max_examples=200)
@given(st.text(st.sampled_from("`$\\ a1\n")))
@pytest.mark.slow
def test_nothing_but_dollars_is_touched(said: str) -> None:
    shown = display._without_mathematics(said)
    escaped = re.compile(r"(?<!\\)((?:\\\\)*)\\\$")  # an odd number of backslashes before it
    assert escaped.sub(r"\1$", shown.replace("<span>", "").replace("</span>", "")) == escaped.sub(r"\1$", said)


def test_a_notebook_draws_at_a_pace_that_eyes_can_follow(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(number / 100 for number in range(1000, 100000))
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    transcript = Transcript()
    for _ in range(500):
        transcript.add("text", "word ")
    transcript.close()
    (shown,) = page.values()
    assert 5 < len(shown) < 80
    assert shown[-1]["text/markdown"] == "word " * 500


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
