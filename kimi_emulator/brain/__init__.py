"""The built-in model, which answers where no script does.

It is no language model but a set of small heuristics, as many as the demo, the notebooks, the documentation and the
frameworks' suites need: a request is read as a `view`; `tools` chooses the calls and fills their arguments; what is
said comes as JSON (`json_answers`, built by `schema` from `clues`), from the text that a prompt brings (`context`), or
from tool results and what was said before (`chat`); `partial` goes on from a beginning. What it knows of words and of
the web, others use too: `kimi_emulator/text.py`, `kimi_emulator/search.py`.

Deliberately absent: forms that an agent or an engine reads out of plain text (ReAct, numbered choices, keywords). There
is no end of them, and a script says one in a line.
"""

from .model import answer

__all__ = ["answer"]
