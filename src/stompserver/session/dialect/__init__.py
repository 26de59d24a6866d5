"""How clients of this and other servers write what they want.

Two tables: ``headers`` (the names of headers) and ``naming`` (the forms of destinations). ``values`` reads
header values as numbers, times and choices, ``lenience`` says what is overlooked, ``faults`` has the texts of
ERRORs.
"""
