"""The command line: one file per noun. `main.py` is the entry, `target.py` finds the server.

For talking to people and scripts. Not for deciding anything: every command but those that start processes goes through
the HTTP API. Exit codes: 0 done, 1 failed, 2 bad usage or configuration.
"""
