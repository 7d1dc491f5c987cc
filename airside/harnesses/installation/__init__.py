"""Harness programs on this machine: pinned versions, fetched from their registries, checked, and found again.

For `install`, `find`, `installed` and `remove` over one or more folders. Not for starting what is installed, and not
for choosing versions: each harness's own `program.py` names its pinned version and its floor. Start reading at
`installations.py`.
"""

from airside.harnesses.installation.installations import (
    HarnessMissing,
    HarnessTooOld,
    Installation,
    Installations,
)
from airside.harnesses.installation.programs import InstallFailed, NpmPackage, Pin, Program, PypiWheel

__all__ = [
    "HarnessMissing",
    "HarnessTooOld",
    "InstallFailed",
    "Installation",
    "Installations",
    "NpmPackage",
    "Pin",
    "Program",
    "PypiWheel",
]
