"""One measurement in a process of its own: prints a JSON object as its last line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.discover import all_offers, all_scenarios
from harness.scenario import Trial


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario")
    parser.add_argument("contender")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--most", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()

    scenario = next(one for one in all_scenarios() if one.name == arguments.scenario)
    offer = next(one for one in all_offers() if one.name == arguments.contender)
    figures = scenario.run(Trial(offer, arguments.workers, arguments.quick, arguments.most))
    print()
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
