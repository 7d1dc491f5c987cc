"""Where a harness runs: an operating-system fence around one session's files and processes.

For starting programs inside that fence and reaching the ports they open. Not for knowing which program a harness is
(`airside.harnesses`) or when it runs (`airside.sessions`). Start reading at `contract.py`.
"""
