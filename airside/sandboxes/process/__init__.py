"""The sandbox that is none: programs run as the worker's own user and can read and do whatever that user can.

For machines without bubblewrap and for trusted work, chosen by name and never by default. Not for code, repositories or
prompts of other people. Start reading at `driver.py`.
"""

from airside.sandboxes.process.driver import ProcessDriver

__all__ = ["ProcessDriver"]
