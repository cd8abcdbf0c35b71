"""What the API offers beside chat: uploaded files with their text, and official tools.

Functions of the emulator's state and plain values: nothing here knows HTTP, whose endpoints call them. What they cannot
do is refused in the server's words.
"""

from . import files, formulas

__all__ = ["files", "formulas"]
