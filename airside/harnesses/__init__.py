"""Harnesses: the programs that are an agent's loop, behind one contract.

For installing, starting, driving, interrupting and resuming them inside a sandbox. Not for sessions, storage or money:
usage and cost come from the gateway's journal, never from a harness. Start reading at `contract.py`; each leaf folder
is one harness, and only `airside.server` names them.
"""
