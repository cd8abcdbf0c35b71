"""Objects of any type, in both adapters: what docs/structured-output.md says of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, Optional, TypedDict

import pytest
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, RootModel

from kimi_emulator import KimiEmulator, Reply
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi, KimiRequestError


class City(BaseModel):
    name: str
    country: str


class River(BaseModel):
    name: str
    length_km: int


class Place(BaseModel):
    place: City | River
    kind: Literal["wet", "dry"]
    note: Optional[str] = None  # noqa: UP045 # as people write it
    cities: list[City] = []


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Named(TypedDict):
    name: str


class Group(TypedDict):
    """A group."""

    named: list[Named]


OSLO, RHINE = {"name": "Oslo", "country": "Norway"}, {"name": "Rhine", "length_km": 1230}
CLASSES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (Place, {"place": RHINE, "kind": "wet", "note": None, "cities": [OSLO]}),
    (Place, {"place": OSLO, "kind": "dry"}),
    (Tree, {"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}),
]
TYPES: list[tuple[Any, Any, Any]] = [
    (City | River, RHINE, River(**RHINE)),
    (City | River, OSLO, City(**OSLO)),
    (list[City], [OSLO, OSLO], [City(**OSLO), City(**OSLO)]),
    (City | None, None, None),
    (Literal["wet", "dry"], "wet", "wet"),
    (dict[str, City], {"north": OSLO}, {"north": City(**OSLO)}),
    (tuple[str, int], ["a", 1], ("a", 1)),
    (str, "wet", "wet"),
]


def answering(value: Any) -> Callable[[dict[str, Any]], Reply]:
    """Answer with a value, inside of the object that the request's schema wants around it."""

    def answer(body: dict[str, Any]) -> Reply:
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["type"] == "object" or "$ref" in schema
        return Reply(json.dumps({"answer": value} if [*schema.get("properties", {})] == ["answer"] else value))

    return answer


def langchain(kimi: KimiEmulator) -> Any:
    return ChatKimi(api_key="sk-test", base_url=kimi.base_url)


def llama_index(kimi: KimiEmulator) -> Any:
    return Kimi(api_key="sk-test", api_base=kimi.base_url)


async def predict(llm: Any, way: str, output_cls: Any) -> Any:
    """Ask LlamaIndex for an object; a stream's last is given."""
    template = PromptTemplate("Tell me.")
    if way == "chat":
        return llm.structured_predict(output_cls, template)
    if way == "achat":
        return await llm.astructured_predict(output_cls, template)
    if way == "stream":
        return list(llm.stream_structured_predict(output_cls, template))[-1]
    return [part async for part in await llm.astream_structured_predict(output_cls, template)][-1]


@pytest.mark.says(
    "docs/structured-output.md",
    "a class, with `Optional`, `Literal`, unions, lists and classes inside",
    "a class that has itself inside",
)
@pytest.mark.parametrize(("output_cls", "value"), CLASSES)
async def test_classes(kimi: KimiEmulator, output_cls: type[BaseModel], value: Any) -> None:
    wanted = output_cls.model_validate(value)
    kimi.script(*[answering(value)] * 3)
    assert langchain(kimi).with_structured_output(output_cls).invoke("Tell me.") == wanted
    assert await langchain(kimi).with_structured_output(output_cls).ainvoke("Tell me.") == wanted
    assert await predict(llama_index(kimi), "chat", output_cls) == wanted
    assert kimi.rejections == []


@pytest.mark.says("docs/structured-output.md", "takes any type that Pydantic knows, at the root too")
@pytest.mark.parametrize(("form", "value", "wanted"), TYPES)
async def test_langchain_gives_values_of_any_type(kimi: KimiEmulator, form: Any, value: Any, wanted: Any) -> None:
    kimi.script(*[answering(value)] * 3)
    model = langchain(kimi).with_structured_output(form)
    assert model.invoke("Tell me.") == wanted
    assert await model.ainvoke("Tell me.") == wanted
    parts = list(model.stream("Tell me."))
    assert parts[-1:] == ([] if wanted is None else [wanted])
    assert kimi.rejections == []


@pytest.mark.says("docs/structured-output.md", "a list or a union is a `RootModel`, and the value is its `root`")
@pytest.mark.parametrize("way", ["chat", "achat", "stream", "astream"])
@pytest.mark.parametrize(("form", "value", "wanted"), TYPES)
async def test_llama_index_gives_a_root_model(kimi: KimiEmulator, way: str, form: Any, value: Any, wanted: Any) -> None:
    kimi.script(answering(value))
    found = await predict(llama_index(kimi), way, RootModel[form])
    assert isinstance(found, RootModel[form])
    assert found.root == wanted
    assert kimi.rejections == []


@pytest.mark.says("docs/structured-output.md", "a `KimiRequestError`, as for anything that is no Pydantic class")
@pytest.mark.parametrize("way", ["chat", "achat", "stream", "astream"])
@pytest.mark.parametrize("form", [*{str(form): form for form, _, _ in TYPES}.values(), Named, {"type": "object"}])
async def test_llama_index_says_what_to_do_where_a_type_is_no_class(kimi: KimiEmulator, way: str, form: Any) -> None:
    with pytest.raises(KimiRequestError, match=r"take `RootModel\[\.\.\.\]` of pydantic"):
        await predict(llama_index(kimi), way, form)
    assert kimi.requests == []


@pytest.mark.says("docs/structured-output.md", "a dict, not validated")
def test_typed_dicts_are_dicts(kimi: KimiEmulator) -> None:
    kimi.script(Reply('{"name": 5}'))
    assert langchain(kimi).with_structured_output(Named).invoke("Tell me.") == {"name": 5}


@pytest.mark.parametrize("form", [Named, Group])
def test_a_typed_dict_without_a_docstring_has_no_description(kimi: KimiEmulator, form: Any) -> None:
    kimi.script(Reply("{}"), Reply("Hello."))
    langchain(kimi).with_structured_output(form).invoke("Tell me.")
    langchain(kimi).bind_tools([form]).invoke("Tell me.")
    for request in kimi.requests:
        assert "dictionary" not in json.dumps(request.body)
        assert ("A group." in json.dumps(request.body)) is (form is Group)
    assert kimi.rejections == []
