"""``python -m stompserver`` is ``stompserver``."""

import sys

from stompserver.cli import main

if __name__ == "__main__":
    sys.exit(main())
