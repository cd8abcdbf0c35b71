"""Answers as other vendors' models write them, in the forms of LangChain's integrations.

The word SEALED stands in all that is signed or encrypted, and MACHINERY in what a vendor's servers did.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def _said(provider: str, content: Any, extra: dict[str, Any] | None = None, **metadata: Any) -> AIMessage:
    return AIMessage(content, additional_kwargs=extra or {}, response_metadata={"model_provider": provider, **metadata})


CITED = {
    "type": "web_search_result_location",
    "url": "https://m",
    "cited_text": "MACHINERY",
    "encrypted_index": "SEALED",
}

ANSWERS: dict[str, tuple[AIMessage, list[str]]] = {
    "openai-chat": (_said("openai", "Yes."), ["Yes."]),
    "openai-chat-refusal": (_said("openai", "", {"refusal": "I won't."}), ["I won't."]),
    "openai-chat-audio": (
        _said("openai", "", {"audio": {"id": "audio_1", "data": "MACHINERY", "transcript": "Hello there."}}),
        ["Hello there."],
    ),
    "openai-responses": (
        _said(
            "openai",
            [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "MACHINERY"}],
                 "encrypted_content": "SEALED"},
                {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "MACHINERY"}},
                {"type": "file_search_call", "id": "fs_1", "queries": ["MACHINERY"], "status": "completed"},
                {"type": "code_interpreter_call", "id": "ci_1", "code": "MACHINERY", "outputs": [], "status": "completed"},
                {"type": "mcp_call", "id": "mcp_1", "name": "MACHINERY", "arguments": "{}", "output": "MACHINERY"},
                {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "MACHINERY", "tools": []},
                {"type": "mcp_approval_request", "id": "mcpr_1", "name": "MACHINERY", "arguments": "{}"},
                {"type": "computer_call", "id": "cu_1", "call_id": "call_c", "action": {"type": "MACHINERY"}},
                {"type": "image_generation_call", "id": "ig_1", "result": PNG, "output_format": "png"},
                {"type": "tool_search_call", "id": "ts_1", "execution": "server", "arguments": {"q": "MACHINERY"}},
                {"type": "compaction", "id": "cmp_1", "encrypted_content": "SEALED"},
                {"type": "text", "text": "It is sunny.", "id": "msg_1", "annotations": [
                    {"type": "url_citation", "url": "https://m", "title": "MACHINERY", "start_index": 0, "end_index": 5},
                    {"type": "file_citation", "file_id": "MACHINERY", "filename": "MACHINERY"}]},
                {"type": "refusal", "refusal": "More I won't say.", "id": "msg_1"},
            ],
        ),
        ["It is sunny.", "More I won't say."],
    ),
    "openai-responses-0.3": (
        AIMessage(
            [{"type": "text", "text": "It is sunny."}],
            id="msg_1",
            additional_kwargs={
                "reasoning": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEALED"},
                "tool_outputs": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}],
                "refusal": "More I won't say.",
            },
            response_metadata={"model_provider": "openai", "id": "resp_1"},
        ),
        ["It is sunny.", "More I won't say."],
    ),
    "anthropic": (
        _said(
            "anthropic",
            [
                {"type": "thinking", "thinking": "MACHINERY", "signature": "SEALED"},
                {"type": "redacted_thinking", "data": "SEALED"},
                {"type": "text", "text": "I search."},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "MACHINERY"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
                    {"type": "web_search_result", "url": "https://m", "encrypted_content": "SEALED"}]},
                {"type": "server_tool_use", "id": "srvtoolu_2", "name": "code_execution", "input": {"code": "MACHINERY"}},
                {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": {"stdout": "MACHINERY"}},
                {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "MACHINERY", "server_name": "m", "input": {}},
                {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": [{"type": "text", "text": "MACHINERY"}]},
                {"type": "container_upload", "file_id": "MACHINERY"},
                {"type": "text", "text": "It is sunny.", "citations": [CITED]},
            ],
        ),
        ["I search.", "It is sunny."],
    ),
    "anthropic-refusal": (
        _said("anthropic", "", stop_reason="refusal", stop_details={"type": "refusal", "explanation": "I won't."}),
        ["I won't."],
    ),
    "google": (
        _said(
            "google_genai",
            [
                {"type": "thinking", "thinking": "MACHINERY", "signature": "SEALED"},
                {"type": "executable_code", "executable_code": "MACHINERY", "language": "python", "id": "1"},
                {"type": "code_execution_result", "code_execution_result": "MACHINERY", "outcome": 1},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file_data", "file_uri": "gs://MACHINERY", "mime_type": "text/plain"},
                {"type": "text", "text": "Four.", "extras": {"signature": "SEALED"}},
                "And more.",
            ],
            grounding_metadata={"web_search_queries": ["MACHINERY"]},
        ),
        ["Four.", "And more."],
    ),
    "bedrock": (
        _said(
            "bedrock",
            [{"type": "thinking", "thinking": "MACHINERY", "signature": "SEALED"}, {"type": "text", "text": "Four."}],
            model_name="anthropic.claude-x",
        ),
        ["Four."],
    ),
    "bedrock-converse": (
        _said(
            "bedrock_converse",
            [
                {"type": "reasoning_content", "reasoning_content": {"text": "MACHINERY", "signature": "SEALED"}},
                {"type": "reasoning_content", "reasoning_content": {"redacted_content": "SEALED"}},
                {"type": "server_tool_use", "id": "tooluse_1", "name": "nova_grounding", "input": {"query": "MACHINERY"}},
                {"type": "text", "text": "Four.", "citations": [{"title": "MACHINERY", "source_content": []}]},
            ],
        ),
        ["Four."],
    ),
    "groq": (
        _said(
            "groq",
            "Four.",
            {"reasoning_content": "MACHINERY", "executed_tools": [{"type": "python", "arguments": '{"code": "MACHINERY"}'}]},
        ),
        ["Four."],
    ),
    "standard": (
        _said(
            "anthropic",
            [
                {"type": "reasoning", "reasoning": "MACHINERY", "extras": {"signature": "SEALED"}},
                {"type": "server_tool_call", "id": "1", "name": "web_search", "args": {"query": "MACHINERY"}},
                {"type": "server_tool_call_chunk", "id": "2", "args": "MACHINERY"},
                {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "output": [{"a": "SEALED"}]},
                {"type": "non_standard", "value": {"type": "container_upload", "file_id": "MACHINERY"}},
                {"type": "image", "base64": PNG, "mime_type": "image/png"},
                {"type": "audio", "base64": "MACHINERY", "mime_type": "audio/wav"},
                {"type": "file", "base64": "MACHINERY", "mime_type": "application/pdf"},
                {"type": "text", "text": "Four.", "annotations": [
                    {"type": "citation", "url": "https://m", "cited_text": "MACHINERY", "extras": {"encrypted_index": "SEALED"}},
                    {"type": "non_standard_annotation", "value": {"a": "MACHINERY"}}]},
                {"type": "refusal", "refusal": "More I won't say."},
            ],
            output_version="v1",
        ),
        ["Four.", "More I won't say."],
    ),
}  # fmt: skip
"""A message, and what of it the model said."""

ONLY_MACHINERY = AIMessage(
    [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "MACHINERY"}}],
    response_metadata={"model_provider": "anthropic"},
)
