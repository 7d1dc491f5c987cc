"""The default fence on Linux: bubblewrap namespaces with no network, no capabilities and none of the host's files.

For running a harness that nobody trusts on one machine. Not for limits on processor time, and not a defence against
faults of the kernel. Start reading at `sandbox.py`; `filesystem.py` says what is visible inside.
"""

from airside.sandboxes.bubblewrap.driver import BubblewrapDriver

__all__ = ["BubblewrapDriver"]
