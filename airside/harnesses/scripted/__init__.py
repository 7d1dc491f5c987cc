"""Our own small coding agent, for tests and for trying things out: fast, and nothing to install.

For driving everything around a harness without one that takes hundreds of megabytes. Not for work that needs a good
agent. Start reading at `harness.py`; `agent/` is the program that runs inside the sandbox, on the system's Python, and
so imports nothing but its standard library. That is also why nothing is imported here.
"""
