"""What belongs to the process: ``service`` (signals, reload, an orderly end), ``process`` (daemon, user, pid
file), ``logs`` and ``output`` (of which nobody may have to wait for who reads them), ``collector`` (for which
nobody may have to wait), and ``heap`` (how the C library keeps the memory of large bodies).
"""
