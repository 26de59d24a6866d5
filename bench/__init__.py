"""Load generator and comparison of STOMP servers: `python -m bench` at the repository root, see README.md."""
