"""What the doctor says of what it found out, and what to do about it. Pure: facts go in, findings come out."""

from __future__ import annotations

import difflib
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from kimi_wire.endpoints import Balance
from kimi_wire.errors import REGIONS, public_proxy, public_url
from kimi_wire.hosts import AUTO, HOSTS, host_for, profile_at
from kimi_wire.profiles import FAMILIES, Profile, Thinking, profile_for
from kimi_wire.transport import CERTIFICATE_VARIABLES, DEFAULT_BASE_URL, PROXY_VARIABLES

_CERTIFICATES_OF_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

_LONGEST = 1000  # characters of a line: a host lists models by whatever names it likes

# A clock that is wrong by more fails TLS certificates and makes every "try again after" meaningless.
_CLOCK_SECONDS = 300

_PLATFORM = {
    "api.moonshot.ai": ("Moonshot's platform, international", "https://platform.kimi.ai"),
    "api.moonshot.cn": ("Moonshot's platform in China", "https://platform.kimi.com"),
}
_CODE = ("api.kimi.com", "api.kimi.ai")  # Kimi Code, a membership with keys of its own

# What stands in examples, and what local servers are given.
_PLACEHOLDER = re.compile(
    r"(?:sk-)?(?:your|my|the|insert|add)\b.*|.*(?:api[-_ ]?key|key[-_ ]?here|placeholder).*|<.*>|\$.*|%.*%|\{.*\}"
    r"|(?:sk-)?(?:x+|\*+|\.+|test|dummy|fake|example|changeme|todo|empty|none|null|local|ollama|123(?:4(?:5(?:6)?)?)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        good: True if it is as it should be, False for what keeps a call from working, None for a note.
        text: What it is. Never the key.
        to_do: What to do about it; "" where nothing is to be done.
    """

    good: bool | None
    text: str
    to_do: str = ""


def report(findings: Iterable[Finding], secrets: Iterable[str]) -> Iterator[str]:
    """Write findings as lines that can be shown to anybody, and at the end what is to be done.

    Args:
        findings: What was found; each is written when it comes.
        secrets: What must not be in a line, though no finding should have it: keys, and passwords of proxies.
    """
    hidden = sorted({secret for secret in secrets if len(secret) > 5}, key=len, reverse=True)

    def shown(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."

    to_do = []
    for finding in findings:
        word = {True: "ok", False: "PROBLEM", None: "note"}[finding.good]
        yield f"{word:8}{shown(finding.text)}"
        if finding.to_do:
            to_do.append(shown(finding.to_do))
    if to_do:
        yield "What to do:"
    yield from (f"{number}. {line}" for number, line in enumerate(to_do, 1))


def installed(versions: Mapping[str, str], system: str, libraries: Sequence[str]) -> Iterator[Finding]:
    """Which versions there are.

    Args:
        versions: Of the packages that are installed, by name.
        system: Python and platform.
        libraries: What synchronous and asynchronous calls go over.
    """
    yield Finding(None, f"Installed: {', '.join(f'{name} {version}' for name, version in versions.items())}.")
    yield Finding(None, f"{system}; requests go over {' and '.join(libraries)}.")


def variables_of_others(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that somebody may think are read."""
    foreign = sorted(name for name in environ if name.startswith("OPENAI_"))
    if foreign:
        yield Finding(None, f"Set, and not read here: {', '.join(foreign)}. A Kimi key goes elsewhere.")


def where(url: str, source: str) -> Finding:
    """Which host requests go to, and whose keys it takes.

    Args:
        url: The API's root.
        source: The variable or option that it is from, or `default`.
    """
    parts, said = urlsplit(url), f"The host is {public_url(url)} ({source})"
    host = parts.hostname or ""
    if host == "api.moonshot.com":  # BingZi-233/oai-compatible-copilot#134 and others
        return Finding(
            False,
            f"{said}, which does not exist: it ends in .ai, in China in .cn.",
            f"Set MOONSHOT_BASE_URL={DEFAULT_BASE_URL}, or https://api.moonshot.cn/v1 for a key of China.",
        )
    if host in _PLATFORM and parts.path != "/v1":
        return Finding(False, f"{said}; the API's root there ends in /v1.", f"Set MOONSHOT_BASE_URL=https://{host}/v1.")
    if host in _PLATFORM:
        return Finding(True, f"{said}: {_PLATFORM[host][0]}. A key of {REGIONS[host]} is refused here.")
    if host in _CODE:
        return Finding(True, f"{said}: Kimi Code, for coding agents. A key of the platform is refused here.")
    return Finding(True, f"{said}.")


def dialect(url: str) -> Finding:
    """Which dialect a model speaks with a host unless `dialect` says something else, and why.

    Args:
        url: The API's root.
    """
    host = host_for(AUTO, url)
    if HOSTS[host.name] is host:
        return Finding(None, f"The dialect is {host.name}, by the host's name.")
    return Finding(
        None,
        f"The dialect is {host.name}, as nothing is known of this host. Where it is a server of another kind, "
        f"dialect='vllm' or one of {', '.join(name for name in HOSTS if name not in (host.name, 'vllm'))} says so.",
    )


def family(model: str, url: str, today: date) -> Finding:
    """What is known of a model.

    Args:
        model: Its id.
        url: The API's root.
        today: The day.
    """
    profile = profile_at(profile_for(model), host_for(AUTO, url))
    if not profile.is_kimi:
        return Finding(None, f"The model {model} is no Kimi model by its name: what is set is what is sent.")
    known = f"is one of the family {profile.family}"
    if profile.family == FAMILIES[-1].family:
        known = f"is in no row of this version, and is taken for one like {FAMILIES[0].family}"
    window = "an unknown window" if profile.context_window is None else f"{profile.context_window:,} tokens of context"
    until = ""
    if profile.retired:
        word = "retired it on" if profile.is_retired(today) else "is to retire it on"
        until = f" Moonshot's platform {word} {profile.retired}."
    return Finding(None, f"The model {model} {known}: {window}, {_thinking(profile)}.{until}")


def _thinking(profile: Profile) -> str:
    return {
        Thinking.NONE: "does not think",
        Thinking.FORCED: "always thinks",
        Thinking.SWITCHABLE: "thinks unless thinking=False",
        Thinking.EFFORT: f"always thinks (reasoning_effort {', '.join(profile.efforts)})",
    }[profile.thinking]


def proxies(environ: Mapping[str, str], used: str | None, url: str) -> Iterator[Finding]:
    """Which proxies are set, and whether requests go through one.

    Args:
        environ: The environment.
        used: The proxy that requests to the host go through; None for none.
        url: The API's root.
    """
    names = sorted(name for name in environ if name.upper() in (*PROXY_VARIABLES, "NO_PROXY") and environ[name])
    if not names:
        return
    host = urlsplit(url).hostname
    said = f"through {public_proxy(used)}" if used else "through no proxy"
    if used and public_proxy(used) != used:
        said += ", whose user and password are not shown here"
    yield Finding(None, f"Set: {', '.join(names)}. Requests to {host} go {said}.")


def certificates(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Which certificates are trusted beside the usual ones.

    Args:
        environ: The environment.
    """
    named = {name: environ[name] for name in CERTIFICATE_VARIABLES if environ.get(name)}
    if named:
        places = (f"{name}={path}{'' if Path(path).exists() else ' (not there)'}" for name, path in named.items())
        yield Finding(None, f"Certificates are those of {', '.join(places)}.")
    others = [name for name in _CERTIFICATES_OF_OTHERS if environ.get(name)]
    if others and not named:
        yield Finding(
            None, f"Set, and not read here: {', '.join(others)}. SSL_CERT_FILE names certificates of your own."
        )


def key(variables: Mapping[str, str], url: str) -> Iterator[Finding]:
    """What kind of key there is, without a letter of it.

    Args:
        variables: The variables that hold a key, and what they hold; the first one counts.
        url: The API's root.
    """
    host = urlsplit(url).hostname or ""
    console = _PLATFORM.get(host, _PLATFORM["api.moonshot.ai"])[1]
    if not variables:
        make = f"Make a key at {console} and set MOONSHOT_API_KEY (or KIMI_API_KEY)."
        yield Finding(False, "No API key: neither MOONSHOT_API_KEY nor KIMI_API_KEY is set.", make)
        return
    name, raw = next(iter(variables.items()))
    if raw != raw.strip():
        yield Finding(None, f"{name} has white space around the key; it is left out here, other programs may send it.")
    if len({value.strip() for value in variables.values()}) > 1:
        yield Finding(None, f"{' and '.join(variables)} differ; {name} is used.")
    yield _kind(name, raw.strip(), host, console)


def _kind(name: str, value: str, host: str, console: str) -> Finding:
    again = f"Copy the key again into {name}"
    if not value:
        return Finding(False, f"{name} holds white space alone.", f"{again}.")
    if re.match(r"bearer\b", value, re.IGNORECASE):
        return Finding(False, f"{name} begins with 'Bearer', a word of the header.", f"{again}, without 'Bearer'.")
    if value[:1] in "\"'`" or value[-1:] in "\"'`":
        return Finding(False, f"{name} has a quotation mark at its end.", f"{again}, without quotation marks.")
    if _PLACEHOLDER.fullmatch(value):
        if host in (*_PLATFORM, *_CODE):
            return Finding(
                False, f"{name} holds a placeholder, and no key.", f"Make a key at {console} and put it into {name}."
            )
        return Finding(True, f"{name} holds a placeholder, as servers of one's own are given.")
    if re.search(r"[^!-~]", value):
        return Finding(False, f"{name} has white space or non-ASCII characters inside.", f"{again}, on one line.")
    if value.startswith("sk-kimi-"):
        said = f"{name} holds a key of Kimi Code, which begins with sk-kimi-"
        # NousResearch/hermes-agent#12668: such a key gets "Invalid Authentication" from the platform.
        if host in _PLATFORM:
            return Finding(
                False,
                f"{said}: another product, whose keys the platform refuses.",
                f"Make one at {console} and put it into {name}.",
            )
        return Finding(True, f"{said}.")
    if not value.startswith("sk-") and host in _PLATFORM:
        return Finding(False, f"{name} does not begin with sk-, as every key of the platform does.", f"{again}.")
    if host in _CODE:
        return Finding(None, f"{name} holds no key of Kimi Code, which begins with sk-kimi-; this host may refuse it.")
    return Finding(True, f"{name} holds a key{', which begins with sk-' if value.startswith('sk-') else ''}.")


def listed(model: str, ids: Sequence[str], today: date) -> Finding:
    """Whether a model is among those that the key may use.

    Args:
        model: Its id.
        ids: What the host lists.
        today: The day.
    """
    if model in ids:
        return Finding(True, f"The model {model} is listed, with {len(ids) - 1} others.")
    retired = " Moonshot has retired its family." if profile_for(model).is_retired(today) else ""
    close = difflib.get_close_matches(model, ids, n=3) or ids[:3]
    choose = f"Use another model, such as {', '.join(close)}" if close else "Ask the host which models the key may use"
    return Finding(False, f"The model {model} is not listed for this key.{retired}", f"{choose}.")


def latency(seconds: Sequence[float]) -> Finding:
    """How long the host takes for next to nothing.

    Args:
        seconds: What each request took; the first one had to connect.
    """
    said = f"The host lists its models in {statistics.median(seconds) * 1000:.0f} ms"
    if len(seconds) > 1:
        said += f" (median of {len(seconds)}; {seconds[0] * 1000:.0f} ms with connecting)"
    return Finding(True, f"{said}.")


def clock(away: float | None) -> Iterator[Finding]:
    """Whether the machine's clock is right.

    Args:
        away: Seconds by which it is ahead of the server's; None where the server says no time.
    """
    if away is not None and abs(away) > _CLOCK_SECONDS:
        way = "ahead of" if away > 0 else "behind"
        yield Finding(
            False, f"This machine's clock is {abs(away) / 60:.0f} minutes {way} the server's.", "Set the clock."
        )


def money(balance: Balance) -> Finding:
    """Whether there is money left."""
    amount = f"The balance is {balance.available:.2f} {balance.currency or ''}".rstrip()
    if balance.available <= 0:
        return Finding(
            False, f"{amount}: every chat request is refused.", "Top up the account, in the platform's console."
        )
    return Finding(True, f"{amount}.")
