"""Who may log in: ``users``."""
