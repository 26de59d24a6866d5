"""Messages for later.

``plan`` says when and how often, ``schedule`` keeps them until then, ``fetch`` reads single ones back from
the store.
"""
