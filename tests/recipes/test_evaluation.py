"""The recipe of evaluation: what a judge says becomes the outcome, in each of the ways that the page shows."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest
from llama_index.core.evaluation import CorrectnessEvaluator
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Reply
from llama_index_kimi import Kimi
from tests.examples import ROOT, fences, run_here

FENCES = fences((ROOT / "docs" / "recipes" / "evaluation.md").read_text("utf-8"))


def judge(body: dict[str, Any]) -> Reply:
    """Answer as a judge does, who knows that the Moon is not made of cheese."""
    prompt = body["messages"][-1]["content"]
    asked = body["response_format"]["json_schema"]["schema"]["properties"]
    is_so = "cheese" not in prompt
    if "is_correct" in asked:
        said: dict[str, Any] = {"reason": "So it is.", "is_correct": is_so}
    elif "score" in asked:
        said = {"reasoning": "So it is.", "score": is_so}
    elif "statements" in asked and "verdict" not in json.dumps(body["response_format"]):
        said = {"statements": ["There is ice at its poles." if is_so else "The Moon is made of cheese."]}
    else:
        said = {"statements": [{"statement": "As told.", "reason": "So it is.", "verdict": int(is_so)}]}
    return Reply(json.dumps(said))


def shown_by(
    word: str, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Run the fence with a word before the judge, and give the lines that it prints."""
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    kimi.script(*[judge] * 4)
    run_here([next(fence.code for fence in FENCES if word in fence.code)], "evaluation.md")
    assert kimi.rejections == []
    return capsys.readouterr().out.splitlines()


@pytest.mark.says("docs/recipes/evaluation.md", "A judge is a model with structured output, and needs no package:")
def test_a_structured_verdict(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown_by("class Verdict", kimi, monkeypatch, capsys) == ["False So it is."]
    assert kimi.requests[-1].body["reasoning_effort"] == "low"


@pytest.mark.needs("openevals")
def test_openevals(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown_by("create_llm_as_judge", kimi, monkeypatch, capsys) == [
        "There is ice at its poles. True So it is.",
        "The Moon is made of cheese. False So it is.",
    ]


# No `needs`, which fails in `make recipes`: ragas is not among the recipes' packages.
needs_ragas = pytest.mark.skipif(importlib.util.find_spec("ragas") is None, reason="ragas is not installed")
# 0.4.3: its uuid.json
left_open_by_ragas = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.says(
    "docs/recipes/evaluation.md",
    "Its metrics take any class that answers with an object, so that the judge is one of these models",
)
@left_open_by_ragas
@needs_ragas
def test_ragas(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown_by("KimiJudge", kimi, monkeypatch, capsys) == [
        "There is ice at the poles of the Moon. 1.0",
        "The Moon is made of green cheese. 0.0",
    ]
    assert all("temperature" not in request.body for request in kimi.requests)


@pytest.mark.says(
    "docs/recipes/evaluation.md", "`LlamaIndexLLMWrapper(Kimi(), bypass_temperature=True)` work with the older metrics"
)
@left_open_by_ragas
@needs_ragas
@pytest.mark.filterwarnings("ignore:Llama:DeprecationWarning", "ignore:Langchain:DeprecationWarning")
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
async def test_the_older_wrappers_of_ragas(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, adapter: str) -> None:
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    from langchain_core.prompt_values import StringPromptValue
    from ragas.llms import LangchainLLMWrapper, LlamaIndexLLMWrapper

    from langchain_kimi import ChatKimi

    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
    wrapped = (
        LangchainLLMWrapper(model, bypass_temperature=True, bypass_n=True)
        if adapter == "langchain"
        else LlamaIndexLLMWrapper(Kimi(api_key="sk-test", api_base=kimi.base_url), bypass_temperature=True)
    )
    kimi.script(Reply("YES"))
    result = await wrapped.generate(StringPromptValue(text="Is it so?"))
    assert result.generations[0][0].text == "YES"
    assert (model.temperature, model.n) == (None, None)
    assert set(kimi.requests[-1].body) == {"model", "messages"}


@pytest.mark.says(
    "docs/recipes/evaluation.md",
    'With LlamaIndex\'s `Kimi` both methods are `structured_predict(response_model, PromptTemplate("{text}"), text=prompt)` and `astructured_predict`.',
)
@pytest.mark.parametrize("way", ["predict", "apredict"])
async def test_llama_index_judges_with_an_object(kimi: KimiEmulator, way: str) -> None:
    class Score(BaseModel):
        reasoning: str
        score: bool

    kimi.script(judge)
    llm = Kimi(api_key="sk-test", api_base=kimi.base_url)
    template, said = PromptTemplate("{text}"), "The Moon is made of cheese, says {nobody}."
    if way == "apredict":
        found = await llm.astructured_predict(Score, template, text=said)
    else:
        found = llm.structured_predict(Score, template, text=said)
    assert found == Score(reasoning="So it is.", score=False)
    assert said in kimi.requests[-1].body["messages"][-1]["content"]


@pytest.mark.says(
    "docs/recipes/evaluation.md",
    "`CorrectnessEvaluator`'s own fails on a judge that gives the points and no reason",
)
def test_points_without_a_reason(kimi: KimiEmulator) -> None:
    asked: dict[str, Any] = {"query": "Where?", "response": "There.", "reference": "There."}
    llm = Kimi(api_key="sk-test", api_base=kimi.base_url)
    kimi.script(Reply("4.0"), Reply("4.0"))
    with pytest.raises(ValueError, match="unpack"):
        CorrectnessEvaluator(llm=llm).evaluate(**asked)
    names: dict[str, Any] = {}
    [shown] = [fence.code for fence in FENCES if "def points_and_reason" in fence.code]
    exec(shown.partition("\njudge = ")[0], names)
    result = CorrectnessEvaluator(llm=llm, parser_function=names["points_and_reason"]).evaluate(**asked)
    assert (result.score, result.feedback) == (4.0, "")
