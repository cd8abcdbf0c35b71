"""The built-in model, which answers where no script does.

It is no language model but a set of small heuristics: a request is read as a `view`; `tools` chooses the calls and
fills their arguments; what is said comes as JSON (`json_answers`, built by `schema`), from tool results or memory
(`chat`), from the text a prompt brings (`context`) or as an agent's next step (`react`); `partial` goes on from a
beginning. What it knows of words and of the web, others use too: `kimi_emulator/text.py`, `kimi_emulator/search.py`.
"""

from .model import answer

__all__ = ["answer"]
