"""``python -m catzilla``."""

from __future__ import annotations

import sys


def main() -> int:
    """The console script."""
    from catzilla.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
