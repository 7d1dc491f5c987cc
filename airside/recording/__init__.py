"""What is kept of the bodies of model calls: how a project wants it, where it is, and when it goes.

Not for records, which are kept of every call (`airside.sessions`). Start reading at `definitions.py`.
"""
