"""Airside: the control plane of a platform that runs coding agents.

For defining, running, resuming and accounting for agents. Not for carrying model calls: that is the gateway
(`gateway/`, module `airside_gateway`). Start reading at `airside/server.py`, which joins the parts.
"""

__version__ = "0.1.0"
