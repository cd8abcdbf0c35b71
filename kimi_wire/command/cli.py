"""The command line: models, balance, token counts, text of files, bodies, and what is wrong with the settings.

Deliberately absent: an option for the API key. It would stay in the shell's history.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from kimi_wire import __version__
from kimi_wire.command.body import as_curl, read_request, read_setting
from kimi_wire.command.doctor import examine, secrets
from kimi_wire.command.findings import Finding, report
from kimi_wire.endpoints import KimiFiles, KimiPlatform, currency_of, estimate_messages, hidden_prompt
from kimi_wire.errors import KimiError
from kimi_wire.log import listen
from kimi_wire.model_object import render_call
from kimi_wire.prices import describe_price
from kimi_wire.settings import DEFAULT_MODEL
from kimi_wire.transport import resolve_base_url, write_body

FAILED, MISUSED = 1, 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, which somebody may have put a key into."""
        super().error(re.sub(r"sk-\S+", "sk-...", message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m kimi_wire",
        description="Ask Moonshot's Kimi platform. The key is read from MOONSHOT_API_KEY or KIMI_API_KEY.",
    )
    parser.add_argument("--version", action="version", version=f"kimi-adapters {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--base-url", metavar="URL", help="the API's root (default: MOONSHOT_BASE_URL, else the API's)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help, parents=[common])
        command.set_defaults(run=run)
        return command

    add("models", _models, "list the models that the key may use, with prices per million tokens")
    add("balance", _balance, "show the account's balance")
    count = add("count", _count, "count the tokens of a text")
    count.add_argument("text", nargs="?", default="-", help="the text; - reads the standard input (default)")
    count.add_argument("--model", default=DEFAULT_MODEL, help="the model that counts (default: %(default)s)")
    count.add_argument("--local", action="store_true", help="estimate, and send nothing")
    extract = add("extract", _extract, "print the text of documents")
    extract.add_argument("files", nargs="+", metavar="FILE")
    _add_body(add("body", _body, "show the JSON body that a request would have, and send nothing; no key is needed"))
    doctor = add("doctor", _doctor, "say whether key, region and model fit together, and what to change")
    doctor.add_argument("--model", default=DEFAULT_MODEL, help="the model to look for (default: %(default)s)")
    doctor.add_argument(
        "--try-other-region",
        action="store_true",
        help="if the key is refused, send it to the other region's host too",
    )
    return parser


def _add_body(command: argparse.ArgumentParser) -> None:
    command.add_argument("text", nargs="?", help="what the user says; - or nothing reads the standard input")
    command.add_argument(
        "--file", help="JSON: a list of messages, or an object with messages, tools and settings; - is standard input"
    )
    command.add_argument("--system", metavar="TEXT", help="what the system says before")
    command.add_argument("--model", help=f"the model (default: the file's, else {DEFAULT_MODEL})")
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=read_setting,
        help="a setting of the model, such as temperature=0.3 or thinking=false",
    )
    command.add_argument("--stream", action="store_true", help="as if the answer were streamed")
    command.add_argument("--curl", action="store_true", help="as a command that sends it, with $MOONSHOT_API_KEY")


def _models(options: argparse.Namespace) -> int:
    models = KimiPlatform(base_url=options.base_url).models()
    currency = currency_of(resolve_base_url(options.base_url)) or "USD"
    width = max((len(model.id) for model in models), default=0)
    for model in models:
        length = "?" if model.context_length is None else f"{model.context_length:,}"
        flags = {
            "images": model.supports_image_in,
            "video": model.supports_video_in,
            "thinks": model.supports_reasoning,
        }
        words = [word for word, flag in flags.items() if flag]
        print(f"{model.id:{width}}  {length:>9}  {describe_price(model.id, currency):38}  {', '.join(words)}".rstrip())
    return 0


def _balance(options: argparse.Namespace) -> int:
    balance = KimiPlatform(base_url=options.base_url).balance()
    for name, amount in (("available", balance.available), ("vouchers", balance.voucher), ("cash", balance.cash)):
        print(f"{name:9} {amount:10.2f} {balance.currency or ''}".rstrip())
    return 0


def _count(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.text == "-" else options.text
    if options.local:
        print(estimate_messages([{"role": "user", "content": text}] if text else [], options.model))
    else:
        print(KimiPlatform(base_url=options.base_url).count_tokens(text, options.model))
    if text and (hidden := hidden_prompt(options.model)):
        print(f"about {hidden} of them are the hidden prompt of {options.model}, once per request", file=sys.stderr)
    return 0


def _extract(options: argparse.Namespace) -> int:
    files = KimiFiles(base_url=options.base_url)
    failed = 0
    for path in options.files:
        try:
            text = files.extract(path)
        except KimiError as error:
            failed = FAILED
            _complain(error)
        else:
            print(text if text.endswith("\n") else f"{text}\n", end="")
    return failed


def _body(options: argparse.Namespace) -> int:
    url = resolve_base_url(options.base_url)
    asked = read_request(options.file, sys.stdin) if options.file else {}
    messages = asked.pop("messages", [])
    if options.system:
        messages = [{"role": "system", "content": options.system}, *messages]
    if options.text or not options.file:
        text = sys.stdin.read() if options.text in (None, "-") else options.text
        messages = [*messages, {"role": "user", "content": text}]
    stream = bool(asked.pop("stream", False)) or options.stream
    asked.pop("stream_options", None)  # usage is always asked for
    asked |= {**({"model": options.model} if options.model else {}), **dict(options.set)}
    request, _ = render_call({}, asked, messages, stream=stream, base_url=url)
    for notice in request.notices:
        print(f"warning: {notice.message}", file=sys.stderr)
    if request.media is not None:
        print("note: pictures and videos are downloaded or uploaded before it is sent.", file=sys.stderr)
    body = json.loads(write_body(request.body))
    text = json.dumps(body, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal or file of Windows: what it cannot have would be a question mark
        text = json.dumps(body, indent=2)
    print(as_curl(text, url) if options.curl else text)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    healthy = True

    def found() -> Iterator[Finding]:
        nonlocal healthy
        for finding in examine(options.base_url, options.model, try_other_region=options.try_other_region):
            healthy = healthy and finding.good is not False
            yield finding

    for line in report(found(), secrets()):
        print(line)
    return 0 if healthy else FAILED


def _complain(error: object) -> None:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line; None takes the process's own.

    Returns:
        The exit status: 0; 1 if something went wrong or `doctor` found a problem; 2 for a wrong command line; 130 if
        interrupted.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows another one
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        listen()
        options = _parser().parse_args(arguments)
    except SystemExit as stopped:
        return MISUSED if stopped.code else 0
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head`; what Python still flushes at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KimiError as error:
        _complain(error)
        return FAILED
    except (ImportError, OSError, ValueError) as error:  # a proxy that cannot be used, text that is no text
        _complain(f"{type(error).__name__}: {error}")
        return FAILED
    return status
