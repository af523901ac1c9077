"""Run every benchmark: figures are ratios measured in one run, and every result is asserted before it is timed.

``python -m benchmarks [--quick]``
"""

from __future__ import annotations

import sys

from benchmarks import against_mesa, scaling


def main() -> None:
    """Run them all."""
    quick = "--quick" in sys.argv
    against_mesa.run(agents=10_000 if quick else 100_000, ticks=30)
    scaling.run(sizes=(10_000, 100_000) if quick else (10_000, 100_000, 1_000_000))


if __name__ == "__main__":
    main()
