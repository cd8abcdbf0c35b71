"""What reads documents and judges answers with an LLM: extractors, graph builders, transforms and evaluators."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from llama_index.core.evaluation import (
    CorrectnessEvaluator,
    EvaluationResult,
    FaithfulnessEvaluator,
    GuidelineEvaluator,
    RelevancyEvaluator,
)
from llama_index.core.extractors import (
    KeywordExtractor,
    QuestionsAnsweredExtractor,
    SummaryExtractor,
    TitleExtractor,
)
from llama_index.core.indices.keyword_table import KeywordTableIndex
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor, SimpleLLMPathExtractor
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import LLM
from llama_index.core.node_parser import MarkdownElementNodeParser
from llama_index.core.schema import Document

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Runner
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import QUESTION, TEXTS, nodes

ANSWER = "Ada Stone built the lighthouse of Alba."
TABLE = "# Prices\n\n| Good | Price |\n| --- | --- |\n| Bread | 2 |\n| Herring | 5 |\n"


class PipelineTests(ConformanceBase):
    """Components that are asynchronous inside."""

    @pytest.mark.parametrize(
        ("extractor", "key"),
        [
            (TitleExtractor, "document_title"),
            (SummaryExtractor, "section_summary"),
            (KeywordExtractor, "excerpt_keywords"),
            (QuestionsAnsweredExtractor, "questions_this_excerpt_can_answer"),
        ],
    )
    def test_extractors(self, llm: LLM, run: Runner, extractor: Any, key: str) -> None:
        """Each node gets its metadata."""
        found = run(extractor(llm=llm, num_workers=2, show_progress=False).aextract(nodes()))
        assert len(found) == len(TEXTS)
        assert all(isinstance(item[key], str) and item[key] for item in found)

    @needs("follows_instructions")
    def test_keyword_tables(self, llm: LLM, recorder: Recorder) -> None:
        """Keywords of each node, asked by prompt."""
        index = KeywordTableIndex(nodes(), llm=llm, use_async=False)
        assert index.index_struct.keywords
        assert "Ada Stone" in recorder.asked()

    def test_hypothetical_documents(self, llm: LLM) -> None:
        """A query transform that asks the LLM for an answer first."""
        bundle = HyDEQueryTransform(llm=llm, include_original=True).run(QUESTION)
        assert bundle.embedding_strs[0]
        assert bundle.embedding_strs[-1] == QUESTION

    @needs("supports_structured_output")
    def test_graphs_by_schema(self, llm: LLM, run: Runner) -> None:
        """A class with literals and nested lists, made by core of the schema."""
        extractor = SchemaLLMPathExtractor(
            llm=llm,
            possible_entities=Literal["PERSON", "BUILDING"],  # type: ignore[arg-type]
            possible_relations=Literal["BUILT"],  # type: ignore[arg-type]
            strict=False,
            num_workers=1,
        )
        (node,) = run(extractor.acall(nodes()[:1]))
        assert {"nodes", "relations"} <= node.metadata.keys()

    def test_graphs_by_prompt(self, llm: LLM, run: Runner, recorder: Recorder) -> None:
        """Triplets, parsed from text."""
        (node,) = run(SimpleLLMPathExtractor(llm=llm, num_workers=1).acall(nodes()[:1]))
        assert {"nodes", "relations"} <= node.metadata.keys()
        assert TEXTS[0] in recorder.asked()

    @needs("supports_structured_output")
    def test_tables(self, llm: LLM) -> None:
        """`MarkdownElementNodeParser` describes tables by a class; pandas reads them."""
        pytest.importorskip("pandas")
        parser = MarkdownElementNodeParser(llm=llm, num_workers=1)
        assert parser.get_nodes_from_documents([Document(text=TABLE)])

    @pytest.mark.parametrize("evaluator", [FaithfulnessEvaluator, RelevancyEvaluator])
    def test_evaluators(self, llm: LLM, run: Runner, evaluator: Any) -> None:
        """A verdict with the words it was read from."""
        result = run(evaluator(llm=llm).aevaluate(query=QUESTION, response=ANSWER, contexts=[TEXTS[0]]))
        assert isinstance(result, EvaluationResult)
        assert result.feedback
        assert result.score is not None

    @needs("supports_structured_output")
    def test_evaluators_by_object(self, llm: LLM, run: Runner) -> None:
        """`GuidelineEvaluator` reads JSON that its prompt asks for; a structured LLM writes it."""
        evaluator = GuidelineEvaluator(llm=llm, guidelines="The answer names a person.")
        structured = GuidelineEvaluator(
            llm=llm.as_structured_llm(evaluator._output_parser.output_cls), guidelines="The answer names a person."
        )
        result = run(structured.aevaluate(query=QUESTION, response=ANSWER, contexts=[TEXTS[0]]))
        assert isinstance(result.passing, bool)
        assert result.feedback

    def test_evaluators_get_their_system_message(self, llm: LLM, run: Runner, recorder: Recorder) -> None:
        """`CorrectnessEvaluator` has a chat prompt; its parser is replaced, for its form is a matter of wording."""
        evaluator = CorrectnessEvaluator(llm=llm, parser_function=lambda text: (4.0, text))
        result = run(evaluator.aevaluate(query=QUESTION, response=ANSWER, reference=TEXTS[0]))
        assert result.score == 4.0
        assert result.feedback
        assert "You are an expert evaluation system" in recorder.asked()
