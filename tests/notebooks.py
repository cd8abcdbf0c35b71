"""Runs the notebooks: `python -m tests.notebooks`, or `make notebooks`, runs them all and keeps what they put out."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

import kimi_wire

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


# What a notebook leaves behind in its kernel: names, and the emulator that the environment points at.
FORGET = """import os
for name in [name for name in os.environ if name.startswith(("MOONSHOT_", "KIMI_"))]:
    del os.environ[name]
%reset -f
"""


@contextmanager
def running_kernel() -> Iterator[NotebookClient]:
    """A kernel in the notebooks' folder, for `execute`."""
    with tempfile.TemporaryDirectory() as sockets:
        # Over TCP the kernel's ports are chosen before it starts, and another process may take one of them meanwhile.
        config = Config(KernelManager={"transport": "ipc", "ip": str(Path(sockets, "kernel"))})
        place = {"metadata": {"path": str(FOLDER)}}
        client = NotebookClient(nbformat.v4.new_notebook(), timeout=120, resources=place, config=config)
        packages = str(Path(kimi_wire.__file__).parents[1])  # of this checkout, or installed
        with client.setup_kernel(env={**os.environ, "PYTHONPATH": packages}):
            yield client


def execute(path: Path, client: NotebookClient) -> Any:
    """Run a notebook; returns it with its outputs.

    Args:
        path: The notebook.
        client: From `running_kernel`. What a notebook before this one has imported is there already; nothing else is.
    """
    client.nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(FORGET)])
    client.execute_cell(client.nb.cells[0], 0, store_history=False)  # the first cell of the notebook is number 1
    client.nb = book = nbformat.read(path, as_version=4)
    client.reset_execution_trackers()
    for number, cell in enumerate(book.cells):
        client.execute_cell(cell, number)
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # when each cell ran
        if cell.cell_type == "code":
            cell.outputs = list(_joined(cell.outputs))
    book.metadata.pop("language_info", None)  # the version of Python
    return book


def _joined(outputs: Iterable[Any]) -> Iterator[Any]:
    """Outputs with the pieces of each stream as one, and of a line that was overwritten what stood there last."""
    for (kind, name), group in itertools.groupby(outputs, lambda output: (output.output_type, output.get("name"))):
        if kind != "stream":
            yield from group
            continue
        text = "".join(output.text for output in group)
        lines = [line.rpartition("\r")[2] for line in text.split("\n")]
        yield nbformat.v4.new_output("stream", name=name, text="\n".join(lines))


if __name__ == "__main__":
    for notebook in NOTEBOOKS:
        if len(sys.argv) == 1 or any(word in notebook.name for word in sys.argv[1:]):
            print(notebook.name, flush=True)
            with running_kernel() as clean:
                nbformat.write(execute(notebook, clean), notebook)
