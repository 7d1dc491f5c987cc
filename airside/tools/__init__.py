"""Tools: what an agent may use, and how it is decided.

So far the builtin tools that every harness has. Start reading at `grants.py`.
"""
