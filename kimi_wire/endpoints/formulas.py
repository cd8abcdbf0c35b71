"""Official tools ("Formula"): tools that Moonshot describes and runs, called like any other function.

Source: https://platform.kimi.ai/docs/guide/use-official-tools. A formula is a small set of tools with a uri; its tools
are declared as ordinary functions, and a call of one is a run ("fiber") on Moonshot's servers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kimi_wire.arguments import render_arguments
from kimi_wire.errors import KimiFormulaError, KimiRequestError, excerpt, mask
from kimi_wire.json_values import JSON, mapping, read_object, text_or_none
from kimi_wire.transport import ApiKey, KimiConnection, body_argument, hiding_secrets

KNOWN_FORMULAS = tuple(
    f"moonshot/{name}:latest"
    for name in (
        "base64",
        "code-runner",
        "convert",
        "date",
        "excel",
        "fetch",
        "memory",
        "mew",
        "quickjs",
        "random-choice",
        "rethink",
        "web-search",
    )
)
"""The formulas of the documentation in November 2026; a hint for errors, not a limit."""

# The uri is a part of the request's path as it is, so that nothing else of a URL may be in it. There is one way to read
# each text: with "[.-]?" in place of "[.-]", 26 letters took two seconds, and each further one twice as long.
_PART = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
_URI = re.compile(rf"{_PART}/{_PART}:{_PART}")


def check_uri(uri: Any) -> str:
    """Check a formula's uri.

    Args:
        uri: Something like `moonshot/web-search:latest`.

    Raises:
        KimiRequestError: It has another form.
    """
    if not (isinstance(uri, str) and _URI.fullmatch(uri)):
        close = [known for known in KNOWN_FORMULAS if isinstance(uri, str) and uri and uri.strip() in known]
        raise KimiRequestError(
            f"{uri!r} is not the uri of a formula, which looks like 'namespace/name:tag'. "
            f"{'Did you mean' if close else 'Known ones are'} {', '.join(close or KNOWN_FORMULAS)}"
            f"{'?' if close else '.'}"
        )
    return uri


@dataclass(frozen=True, slots=True)
class FormulaTool:
    """One tool of a formula.

    Attributes:
        uri: The formula it belongs to.
        remote_name: What the formula calls it.
        name: What the model calls it: the same, unless two formulas have a tool of that name.
        description: What it does, for the model.
        parameters: The JSON Schema of its arguments, an object's.
    """

    uri: str
    remote_name: str
    name: str
    description: str
    parameters: JSON


def parse_formula_tools(content: bytes, uri: str) -> list[FormulaTool]:
    """Read the list of a formula's tools.

    Args:
        content: The body of the answer: `{"object": "list", "tools": [{"type": "function", "function": {...}}]}`.
        uri: The formula.

    Raises:
        KimiFormulaError: It is no such list.
    """
    listed = mapping(read_object(content)).get("tools")
    if not isinstance(listed, list):
        raise KimiFormulaError(f"The answer for {uri} is not a list of tools: {excerpt(content)}", uri=uri)
    tools = []
    for tool in listed:
        function = mapping(mapping(tool).get("function"))
        name = function.get("name")
        if not (isinstance(name, str) and name):
            raise KimiFormulaError(
                f"{uri} lists something that is no function: {mask(str(tool)[:1000])[:200]}", uri=uri
            )
        tools.append(
            FormulaTool(
                uri=uri,
                remote_name=name,
                name=name,
                description=text_or_none(function.get("description")) or "",
                parameters={"type": "object", "properties": {}, **mapping(function.get("parameters"))},
            )
        )
    return tools


def name_tools(tools: Sequence[FormulaTool]) -> list[FormulaTool]:
    """Give tools of one name in several formulas names of their own.

    All of them are renamed, so that a name does not depend on the order of the formulas: `search` of
    `moonshot/fetch:latest` becomes `fetch_search`, and `moonshot_fetch_latest_search` where that is taken too.

    Raises:
        KimiFormulaError: One formula has two tools of a name.
    """
    named = list(tools)
    for prefix in (_short_prefix, _long_prefix):
        counts = Counter(tool.name for tool in named)
        named = [replace(tool, name=prefix(tool)) if counts[tool.name] > 1 else tool for tool in named]
    counts = Counter(tool.name for tool in named)
    for tool in named:
        if counts[tool.name] > 1:
            raise KimiFormulaError(f"{tool.uri} has two tools called {tool.remote_name!r}.", uri=tool.uri)
    return named


def _short_prefix(tool: FormulaTool) -> str:
    return f"{tool.uri.partition('/')[2].partition(':')[0]}_{tool.remote_name}".replace(".", "_")


def _long_prefix(tool: FormulaTool) -> str:
    return re.sub(r"[/:.]", "_", f"{tool.uri}_{tool.remote_name}")


def parse_fiber(content: bytes, tool: FormulaTool) -> str:
    """Read the result of a run, for the model.

    Args:
        content: The body of the answer: `{"id": ..., "status": "succeeded", "context": {"output": ...}}`.
        tool: The tool.

    Returns:
        `context.output`, or `context.encrypted_output` as it is: text that only Moonshot's models can read.

    Raises:
        KimiFormulaError: The run did not succeed.
    """
    fiber = mapping(read_object(content))
    context = mapping(fiber.get("context"))
    error = fiber.get("error") or context.get("error")
    status = fiber.get("status", "succeeded" if "context" in fiber else "missing")
    if error or status != "succeeded":
        said = _error_text(error) if error else f"its status is {status!r}: {excerpt(content)}"
        raise KimiFormulaError(
            f"{tool.remote_name} of {tool.uri} failed: {said}",
            uri=tool.uri,
            name=tool.name,
            fiber_id=text_or_none(fiber.get("id")),
        )
    output = context.get("output")
    if output in (None, ""):
        output = context.get("encrypted_output")
    if output is None:
        return ""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _error_text(error: Any) -> str:
    said = error.get("message") if isinstance(error, dict) else error
    return mask(said if isinstance(said, str) else json.dumps(error, ensure_ascii=False))


class KimiFormulas:
    """The tools of some formulas, over one connection; they are fetched once.

    Args:
        uris: The formulas, such as `["moonshot/date:latest"]`; one given twice counts once.
        api_key: The key, or a function that gives it; default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: The API's root; default: as in `kimi_wire.transport.connection.resolve_base_url`.
        options: The other arguments of `KimiConnection`: `timeout`, `max_retries`, `default_headers`, `http_client`,
            `http_async_client`.

    Raises:
        KimiMissingKeyError: There is no key.
        KimiRequestError: There is no uri, or one, or the URL, has another form.
    """

    @hiding_secrets
    def __init__(
        self, uris: Sequence[str] | str, api_key: ApiKey | None = None, base_url: str | None = None, **options: Any
    ) -> None:
        given = [uris] if isinstance(uris, str) else list(uris or ())
        if not given:
            raise KimiRequestError(f"Name at least one formula. Known ones are {', '.join(KNOWN_FORMULAS)}.")
        self.uris = tuple(dict.fromkeys(map(check_uri, given)))
        self.connection = KimiConnection.resolved(api_key, base_url, **options)
        self._tools: list[FormulaTool] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(vars(self).get('uris', ()))})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def tools(self) -> list[FormulaTool]:
        """Fetch the formulas' tools, or give those fetched before.

        Raises:
            KimiFormulaError: A formula does not exist, or its answer is no list of tools.
            KimiError: Whatever else goes wrong on the way.
        """
        if self._tools is None:
            found: list[FormulaTool] = []
            for uri in self.uris:
                try:
                    response = self.connection.request("get", f"/formulas/{uri}/tools")
                except Exception as error:
                    raise _unknown_formula(error, uri) from error
                found += parse_formula_tools(response.content, uri)
            self._tools = name_tools(found)
        return list(self._tools)

    async def atools(self) -> list[FormulaTool]:
        """The asynchronous twin of `tools`."""
        if self._tools is None:
            found: list[FormulaTool] = []
            for uri in self.uris:
                try:
                    response = await self.connection.arequest("get", f"/formulas/{uri}/tools")
                except Exception as error:
                    raise _unknown_formula(error, uri) from error
                found += parse_formula_tools(response.content, uri)
            self._tools = name_tools(found)
        return list(self._tools)

    def run(self, tool: FormulaTool, arguments: Mapping[str, Any]) -> str:
        """Run a tool on Moonshot's servers.

        Args:
            tool: One of `tools`.
            arguments: Its arguments, which the server checks.

        Returns:
            The result, for the tool message.

        Raises:
            KimiFormulaError: The run failed; the model can read why.
            KimiError: What no other arguments would mend: the key, the permission, the balance.
        """
        try:
            response = self.connection.request("post", **_fiber_request(tool, arguments))
        except Exception as error:
            raise _failed_run(error, tool) from error
        return parse_fiber(response.content, tool)

    async def arun(self, tool: FormulaTool, arguments: Mapping[str, Any]) -> str:
        """The asynchronous twin of `run`."""
        try:
            response = await self.connection.arequest("post", **_fiber_request(tool, arguments))
        except Exception as error:
            raise _failed_run(error, tool) from error
        return parse_fiber(response.content, tool)


def _fiber_request(tool: FormulaTool, arguments: Mapping[str, Any]) -> JSON:
    try:
        written = render_arguments(dict(arguments))
    except (TypeError, ValueError, RecursionError) as error:
        raise KimiRequestError(f"{tool.name}: the arguments cannot be written as JSON: {error}") from None
    return {"path": f"/formulas/{tool.uri}/fibers", **body_argument({"name": tool.remote_name, "arguments": written})}


def _unknown_formula(error: Exception, uri: str) -> Exception:
    from kimi_wire.errors import KimiNotFoundError

    if not isinstance(error, KimiNotFoundError):
        return error
    return KimiFormulaError(
        f"There is no formula {uri!r}, or it is not open to this account: {error} "
        f"Known ones are {', '.join(KNOWN_FORMULAS)}.",
        uri=uri,
    )


def _failed_run(error: Exception, tool: FormulaTool) -> Exception:
    """What becomes of an error on the way: the tool's, unless nothing that a model does could mend it."""
    from kimi_wire.errors import KimiAPIError, KimiAuthenticationError, KimiPermissionDeniedError, KimiQuotaError

    fatal = (KimiAuthenticationError, KimiPermissionDeniedError, KimiQuotaError)
    if not isinstance(error, KimiAPIError) or isinstance(error, fatal):
        return error
    return KimiFormulaError(
        f"{tool.remote_name} of {tool.uri} failed: {error}", uri=tool.uri, name=tool.name, fiber_id=None
    )
