"""Which messages a subscription wants, by their headers: the selectors of JMS, a part of SQL-92.

A text becomes words (``tokens``, ``number``), words become a tree (``parser``, ``node``, ``comparison``,
``condition``, ``like``), and ``selector`` asks the tree about a message; ``never`` sees what can match none.
"""
