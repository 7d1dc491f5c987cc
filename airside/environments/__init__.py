"""Environments: where an agent's sessions run.

For defining and storing them. Not for building the sandbox itself: `airside.sandboxes`. Start reading at
`environments.py`.
"""
