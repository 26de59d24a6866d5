"""Who may log in: ``users``; and what TLS is made of: ``certificates``, ``first_certificate``."""
