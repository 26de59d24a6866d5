"""``python -m stompserver.config`` prints docs/reference/options.md."""

from stompserver.config.page import page

if __name__ == "__main__":
    print(page(), end="")
