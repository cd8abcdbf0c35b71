"""Run the command line: `python -m kimi_wire doctor`."""

import sys

from kimi_wire.command import main

if __name__ == "__main__":
    sys.exit(main())
