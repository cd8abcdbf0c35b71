"""Everything of core that asks for an object, on every family, thinking left on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from llama_index.core import Settings, SummaryIndex, get_response_synthesizer
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.postprocessor import StructuredLLMRerank
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.query_engine.sub_question_query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool

from kimi_emulator import KimiEmulator, Reply
from llama_index_kimi import Kimi
from tests.families import FAMILIES
from tests.llama_index_kimi.structured import (
    ADA,
    NO_SCHEMA,
    THINKS,
    WHO,
    Person,
    Thoughts,
    answering,
)

Make = Callable[..., Kimi]

pytestmark = [
    pytest.mark.slow,
    # Families that can only be asked for a tool call say so once.
    pytest.mark.filterwarnings("ignore:.*takes no forced tool choice:kimi_wire.KimiWarning"),
    # Core's `StructuredLLM.stream_chat` writes `partial_output.json()`.
    pytest.mark.filterwarnings("ignore:The `json` method is deprecated"),
    # llama-index-workflows inspects every attribute of an agent, pydantic's deprecated ones included.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
]

TEXT = "Ada Lovelace is 36 years old."
QUESTION = [ChatMessage(role="user", content=TEXT)]


async def _structured_predict(llm: Kimi) -> Any:
    return llm.structured_predict(Person, WHO, text=TEXT)


async def _astructured_predict(llm: Kimi) -> Any:
    return await llm.astructured_predict(Person, WHO, text=TEXT)


async def _stream(llm: Kimi) -> Any:
    return list(llm.stream_structured_predict(Person, WHO, text=TEXT))[-1]


async def _astream(llm: Kimi) -> Any:
    return [item async for item in await llm.astream_structured_predict(Person, WHO, text=TEXT)][-1]


async def _chat(llm: Kimi) -> Any:
    return llm.as_structured_llm(Person).chat(QUESTION).raw


async def _achat(llm: Kimi) -> Any:
    return (await llm.as_structured_llm(Person).achat(QUESTION)).raw


async def _stream_chat(llm: Kimi) -> Any:
    return list(llm.as_structured_llm(Person).stream_chat(QUESTION))[-1].raw


async def _astream_chat(llm: Kimi) -> Any:
    return [item async for item in await llm.as_structured_llm(Person).astream_chat(QUESTION)][-1].raw


async def _complete(llm: Kimi) -> Any:
    return llm.as_structured_llm(Person).complete(TEXT).raw


async def _acomplete(llm: Kimi) -> Any:
    return (await llm.as_structured_llm(Person).acomplete(TEXT)).raw


DIRECT = [
    _structured_predict,
    _astructured_predict,
    _stream,
    _astream,
    _chat,
    _achat,
    _stream_chat,
    _astream_chat,
    _complete,
    _acomplete,
]


@pytest.mark.parametrize("way", DIRECT)
@pytest.mark.parametrize("model", FAMILIES)
async def test_prediction(
    kimi: KimiEmulator, llm: Make, model: str, way: Callable[[Kimi], Awaitable[Any]], thoughts: Thoughts
) -> None:
    person = await way(llm(model))
    assert type(person) is Person
    assert "Ada" in person.name
    body = kimi.requests[-1].body
    assert ("response_format" in body, "tools" in body) == (model not in NO_SCHEMA, model in NO_SCHEMA)
    assert body.get("thinking") == ({"type": "disabled"} if model in NO_SCHEMA else None)
    assert [bool(thought) for thought in thoughts.noted] == [model in THINKS]


async def _call(program: Any) -> Any:
    return program(text=TEXT)


async def _acall(program: Any) -> Any:
    return await program.acall(text=TEXT)


async def _stream_call(program: Any) -> Any:
    return list(program.stream_call(text=TEXT))[-1]


async def _astream_call(program: Any) -> Any:
    return [item async for item in await program.astream_call(text=TEXT)][-1]


@pytest.mark.parametrize("call", [_call, _acall, _stream_call, _astream_call])
@pytest.mark.parametrize("model", FAMILIES)
async def test_function_calling_programs(
    kimi: KimiEmulator, llm: Make, model: str, call: Any, thoughts: Thoughts
) -> None:
    # Core's `stream_call` asks without a required choice, so that the model has to want to call.
    streamed = call in (_stream_call, _astream_call)
    thinks = model in THINKS or (streamed and model == "kimi-k2.5")
    kimi.script(*answering(ADA, thinking=thinks))
    program = FunctionCallingProgram.from_defaults(Person, prompt=WHO, llm=llm(model))
    assert await call(program) == Person(name="Ada Lovelace", age=36)
    assert [bool(thought) for thought in thoughts.noted] == [thinks]
    body = kimi.requests[-1].body
    assert (body.get("thinking") == {"type": "disabled"}) is (model in NO_SCHEMA and not streamed)


@pytest.mark.parametrize("model", FAMILIES)
async def test_programs_keep_a_switch_that_was_set(kimi: KimiEmulator, llm: Make, model: str) -> None:
    if model != "kimi-k2.6":
        return
    for settings, call in [({"thinking": False}, {}), ({}, {"thinking": False})]:
        program = FunctionCallingProgram.from_defaults(Person, prompt=WHO, llm=llm(model, **settings))
        assert isinstance(program(text=TEXT, llm_kwargs=dict(call)), Person)
        assert isinstance(await program.acall(text=TEXT, llm_kwargs=dict(call)), Person)
    assert {request.body["thinking"]["type"] for request in kimi.requests} == {"disabled"}
    assert {request.body["tool_choice"] for request in kimi.requests} == {"required"}


@pytest.mark.parametrize("call", [_call, _acall])
@pytest.mark.parametrize("dressing", ["{}", "```json\n{}\n```", "Here it is:\n{}\nAnything else?"])
@pytest.mark.parametrize("model", [*FAMILIES, "kimi-thinking-preview"])
async def test_text_completion_programs(kimi: KimiEmulator, llm: Make, model: str, dressing: str, call: Any) -> None:
    kimi.script(Reply(dressing.replace("{}", ADA)))
    program = LLMTextCompletionProgram.from_defaults(
        output_cls=Person, prompt_template_str="Who is it? {text}", llm=llm(model)
    )
    assert await call(program) == Person(name="Ada Lovelace", age=36)
    assert '"properties"' in kimi.requests[-1].body["messages"][-1]["content"]
    assert not {"tools", "response_format"} & kimi.requests[-1].body.keys()


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("model", FAMILIES)
async def test_routers(kimi: KimiEmulator, llm: Make, model: str, several: bool) -> None:
    made = llm(model)
    engines = [SummaryIndex([TextNode(text=text)]).as_query_engine(llm=made) for text in ("Soup.", TEXT)]
    tools = [
        QueryEngineTool.from_defaults(engine, name=name, description=f"Knows {name}.")
        for engine, name in zip(engines, ("recipes", "people"), strict=True)
    ]
    engine = RouterQueryEngine.from_defaults(tools, llm=made, select_multi=several)
    one, two = '{"index": 2, "reason": "It is about people."}', '{"index": 1, "reason": "Who knows."}'
    chosen = f'{{"selections": [{one}, {two}]}}' if several else one
    for query in (engine.query, engine.aquery):
        kimi.reset()
        kimi.script(*answering(chosen, thinking=model in THINKS))
        response = query("Who is 36?")
        response = await response if isinstance(response, Awaitable) else response
        assert str(response) not in ("", "None")
        picked = [item.index for item in response.metadata["selector_result"].selections]
        assert picked == ([1, 0] if several else [1])
        first = kimi.requests[0].body
        assert (first.get("thinking") == {"type": "disabled"}) is (model in NO_SCHEMA)
        assert kimi.rejections == []


@pytest.mark.parametrize("model", FAMILIES)
async def test_reranking(kimi: KimiEmulator, llm: Make, model: str) -> None:
    texts = ["Boats.", TEXT, "Bread."]
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]
    ranking = '{"documents": [{"document_number": 2, "relevance": 9}, {"document_number": 1, "relevance": 2}]}'
    kimi.script(*answering(ranking, ranking, thinking=model in THINKS))
    rerank = StructuredLLMRerank(llm=llm(model), top_n=1)
    assert [node.text for node in rerank.postprocess_nodes(nodes, query_str="Ada?")] == [TEXT]
    assert [node.text for node in await rerank.apostprocess_nodes(nodes, query_str="Ada?")] == [TEXT]


MODES = [
    ResponseMode.COMPACT,
    ResponseMode.REFINE,
    ResponseMode.TREE_SUMMARIZE,
    ResponseMode.ACCUMULATE,
    ResponseMode.COMPACT_ACCUMULATE,
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("model", FAMILIES)
async def test_query_engines_with_an_output_class(
    kimi: KimiEmulator, llm: Make, model: str, mode: ResponseMode, thoughts: Thoughts
) -> None:
    index = SummaryIndex([TextNode(text=TEXT)])
    made = llm(model)
    engine = index.as_query_engine(llm=made, response_mode=mode, output_cls=Person)
    answers = [engine.query("Who is 36?").response, (await engine.aquery("Who is 36?")).response]
    if mode in (ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE):
        assert all("name='" in str(answer) for answer in answers)  # core joins their texts
    else:
        assert [type(answer) for answer in answers] == [Person, Person]
        structured = index.as_query_engine(llm=made.as_structured_llm(Person), response_mode=mode)
        assert type(structured.query("Who is 36?").response) is Person
    assert {bool(thought) for thought in thoughts.noted} == {model in THINKS}


@pytest.mark.parametrize("model", FAMILIES)
async def test_answers_filtered_by_structure(kimi: KimiEmulator, llm: Make, model: str) -> None:
    answer = '{"query_satisfied": true, "answer": "Ada is."}'
    kimi.script(*answering(answer, answer, thinking=model in THINKS))
    synthesizer = get_response_synthesizer(llm=llm(model), response_mode="refine", structured_answer_filtering=True)
    nodes = [NodeWithScore(node=TextNode(text=TEXT), score=1.0)]
    assert str(synthesizer.synthesize("Who is 36?", nodes=nodes)) == "Ada is."
    assert str(await synthesizer.asynthesize("Who is 36?", nodes=nodes)) == "Ada is."


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Product(BaseModel):
    """A product of two numbers."""

    result: int


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("owner", ["agent", "workflow", "agent in a workflow"])
@pytest.mark.parametrize("model", FAMILIES)
async def test_agents_with_an_output_class(
    kimi: KimiEmulator, llm: Make, model: str, owner: str, streaming: bool, thoughts: Thoughts
) -> None:
    made = llm(model)
    settings: dict[str, Any] = {} if owner == "workflow" else {"output_cls": Product}
    agent: Any = FunctionAgent(
        name="a",
        description="d",
        tools=[multiply],
        llm=made,
        streaming=streaming,
        system_prompt="Be exact.",
        **settings,
    )
    if owner != "agent":
        agent = AgentWorkflow(agents=[agent], output_cls=Product if owner == "workflow" else None)
    output = await agent.run("What is 7 times 13?")
    assert "91" in str(output)
    assert output.get_pydantic_model(Product) is not None
    assert isinstance(output.structured_response["result"], int)
    assert len(kimi.requests) == 3
    assert bool(thoughts.noted[-1]) is (model in THINKS)


@pytest.mark.parametrize("model", FAMILIES)
def test_sub_questions(kimi: KimiEmulator, llm: Make, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The default generator needs a package that core 0.14 cannot have (run-llama/llama_index#19917).
    made = llm(model)
    monkeypatch.setattr(Settings, "_llm", made)
    items = '```json\n{"items": [{"sub_question": "Who is 36?", "tool_name": "people"}]}\n```'
    kimi.script(*[Reply(text) for text in (items, "Ada.", "Ada is 36.")])
    tool = QueryEngineTool.from_defaults(
        SummaryIndex([TextNode(text=TEXT)]).as_query_engine(llm=made), name="people", description="Knows people."
    )
    engine = SubQuestionQueryEngine.from_defaults(
        [tool], llm=made, question_gen=LLMQuestionGenerator.from_defaults(llm=made), use_async=False, verbose=False
    )
    assert str(engine.query("Who is 36?")) == "Ada is 36."


@pytest.mark.parametrize("model", FAMILIES)
async def test_graphs_by_schema(kimi: KimiEmulator, llm: Make, model: str) -> None:
    extractor = SchemaLLMPathExtractor(
        llm=llm(model),
        possible_entities=Literal["PERSON", "MACHINE"],  # type: ignore[arg-type]
        possible_relations=Literal["WROTE_FOR", "BUILT"],  # type: ignore[arg-type]
        kg_validation_schema={"PERSON": ["WROTE_FOR"], "MACHINE": ["BUILT"]},
        raise_on_error=True,
        num_workers=1,
    )
    ada, engine = '{"type": "PERSON", "name": "Ada"}', '{"type": "MACHINE", "name": "Engine"}'
    triplet = f'{{"subject": {ada}, "relation": {{"type": "WROTE_FOR"}}, "object": {engine}}}'
    kimi.script(*answering(f'{{"triplets": [{triplet}]}}', thinking=model in THINKS))
    (node,) = await extractor.acall([TextNode(text=TEXT)])
    assert [(item.source_id, item.label, item.target_id) for item in node.metadata["relations"]] == [
        ("Ada", "WROTE_FOR", "Engine")
    ]
