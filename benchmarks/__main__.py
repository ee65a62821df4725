"""`python -m benchmarks [NAME ...]` runs benchmark modules of this folder by name; without a name, all of them.

What follows the first name goes to it: `python -m benchmarks corruptions --size 1024x2048 --batch 1`.
"""

import sys
from importlib import import_module
from pathlib import Path


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    wanted, options = sys.argv[1:2], sys.argv[2:]
    for name in wanted or names:
        if name not in names:
            print(f"There is no benchmark named {name!r}. Known: {', '.join(names)}.", file=sys.stderr)
            return 2
        import_module(f"benchmarks.{name}").main(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
