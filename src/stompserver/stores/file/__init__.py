"""A file for each message, as the original had them.

``store`` is the store, ``tree`` its folders, ``names`` the file names, ``frame`` what is in a file,
``journal`` what makes a batch one change.
"""
