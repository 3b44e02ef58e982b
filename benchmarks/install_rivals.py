"""Installs every rival that pip can install, for this interpreter:  python benchmarks/install_rivals.py

The extra ``bench`` goes into the environment that runs this. Those that its others exclude get environments of
their own under .cache/rivals. What needs more than pip is named at the end, with what installs it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import own_env
from harness.discover import all_offers
from harness.machine import version

ROOT = Path(__file__).parents[1]


def main() -> int:
    if sys.prefix == sys.base_prefix:
        print("run this with the python of a virtual environment, such as .venv/bin/python", file=sys.stderr)
        return 2
    try:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[bench]"], check=True)
        for distribution, why in own_env.NEEDED.items():
            if not version(distribution):
                print(f"{distribution} in an environment of its own: {why}")
                own_env.install(distribution)
    except subprocess.CalledProcessError as error:
        print(f"pip failed ({error.returncode}): what it said is above", file=sys.stderr)
        return 1
    rest = {offer.name: offer.absent for offer in all_offers() if offer.absent}
    for name, why in rest.items():
        print(f"still absent: {name}: {why}")
    print("Every rival is here." if not rest else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
