"""Run the emulator from the command line: ``python -m kimi_emulator --port 8000``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from .emulator import KimiEmulator
from .hosts import HOSTS
from .scripting import RecordedRequest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kimi_emulator", description="A strict local Kimi API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--chunk-delay", type=float, default=0.0, metavar="SECONDS", help="pause between events")
    parser.add_argument("--requests-per-minute", type=int, metavar="NUMBER", help="play a rate limit (default: none)")
    parser.add_argument("--host-kind", default="moonshot", choices=sorted(HOSTS), help="whose server to play")
    parser.add_argument("--quiet", action="store_true", help="print no line per request")
    return parser


def describe(request: RecordedRequest) -> str:
    """Write a request and its answer as one line."""
    model = request.body.get("model") if isinstance(request.body, dict) else None
    said = " ".join(str(part) for part in (model, request.error) if part)
    return f"{request.method} {request.path} {request.status} {said}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted or told to stop, as containers are (SIGTERM).

    Args:
        arguments: The command line; None takes the process's own.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    on_answer = None if options.quiet else lambda request: print(describe(request), flush=True)
    emulator = KimiEmulator(
        options.port,
        options.host,
        chunk_delay=options.chunk_delay,
        requests_per_minute=options.requests_per_minute,
        host_kind=options.host_kind,
        on_answer=on_answer,
    )
    try:
        with emulator:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print(emulator.base_url)
            print(f"export MOONSHOT_BASE_URL={emulator.base_url}\nexport MOONSHOT_API_KEY=sk-emulator", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
