"""Settings of this installation: the only place that reads the process's environment.

Not for what people configure in `airside.yaml`: that is `airside.config`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Harnesses installed beside this program serve every data directory.
SHARED_HARNESSES = Path(sys.prefix) / "share" / "airside" / "harnesses"
DEFAULT_PORT = 7700
DEFAULT_GATEWAY_PORT = 7710


def environment() -> Mapping[str, str]:
    """This process's environment, as it stands now."""
    return dict(os.environ)  # noqa: TID251 - this is the one place


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the parts look and how long they wait, in seconds. Tests shorten these; people rarely should."""

    lease_s: float = 10.0  # a session or executor whose lease is older than this is taken over
    control_poll_s: float = 0.1  # how often a worker looks for pause, interrupt and stop
    event_poll_s: float = 0.05  # how often an event stream looks for new events
    reap_s: float = 1.0  # how often a worker looks for work that a dead one left behind
    interrupt_grace_s: float = 10.0  # a harness that ignores an interrupt is ended after this

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Timing:
        """`AIRSIDE_LEASE_S` and so on; anything unset keeps its default. Raises `ValueError` for what is no number."""
        given = {
            name: float(variables[key]) for name in cls.__slots__ if (key := f"AIRSIDE_{name.upper()}") in variables
        }
        return cls(**given)


def default_data_directory(variables: Mapping[str, str]) -> Path:
    """`AIRSIDE_DATA`, or `~/.airside`."""
    named = variables.get("AIRSIDE_DATA")
    return Path(named).expanduser() if named else Path.home() / ".airside"
