"""The composition root: the only place that names concrete harnesses, sandboxes and stores, and joins the parts.

`control.py` and `worker.py` are the two processes that Python runs; the third, the gateway, is `airside_gateway`.
`adapters.py` is where a new harness or sandbox is registered.
"""
