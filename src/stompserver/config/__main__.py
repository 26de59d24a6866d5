"""``python -m stompserver.config`` prints docs/reference/options.md, with ``policies`` docs/reference/policies.md."""

import sys

from stompserver.config import page, policies_page

if __name__ == "__main__":
    print(policies_page.page() if sys.argv[1:] == ["policies"] else page.page(), end="")
