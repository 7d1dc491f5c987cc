"""Durable execution: work that is begun is finished, whoever dies.

For enqueueing work, running it on this process and taking over what a dead executor left. Not for deciding what the
work is. The only package that imports DBOS. Start reading at `engine.py`.
"""
