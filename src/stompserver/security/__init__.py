"""Who may log in: ``users``; who may do what with which destination: ``permissions``; and what TLS is made of:
``certificates``, ``first_certificate``.
"""
