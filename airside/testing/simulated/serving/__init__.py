"""HTTP: from a request's bytes to the answer's, with every way it can be broken off, and the control API beside it.

Not for what is answered. Start reading at `service.py`; `wire.py` holds what ASGI alone cannot do.
"""
