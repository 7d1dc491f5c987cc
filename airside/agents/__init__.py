"""Agents: versioned definitions of who does the work.

For defining, versioning and storing them. Not for running them: `airside.sessions`. Start reading at `definition.py`,
then `agents.py`.
"""
