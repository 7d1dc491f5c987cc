"""`airside demo`: the whole product in a minute, on simulated models.

Start reading at `command.py`; `project.py` is the little repository with a fault in it.
"""
