"""`python -m bench`: see bench/README.md."""

from __future__ import annotations

import sys

from bench.run import main, stop_servers_when_told_to

if __name__ == "__main__":
    stop_servers_when_told_to()
    sys.exit(main())
