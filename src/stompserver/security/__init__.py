"""Who may log in, who may do what, and what TLS is made of. ``account`` is what a place of accounts gives, and what
such a place has to do; ``users`` are the logins of ``.passwd``, ``tokens`` API tokens, ``web_tokens`` JSON web
tokens, ``http_accounts``, ``ldap_accounts`` and ``plug_ins`` places elsewhere, ``accounts`` all places together,
asked one after the other. ``permissions`` is who may do what with which destination; ``certificates`` and
``first_certificate`` are for TLS.
"""
