"""The built-in gateway as a data plane: the few calls the control plane makes to it.

Start reading at `journal_barrier.py`.
"""
