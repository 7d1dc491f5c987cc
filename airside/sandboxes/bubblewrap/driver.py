"""Builds bubblewrap sandboxes, and tells why one cannot be had on this machine."""

from __future__ import annotations

import platform
import subprocess

from airside.sandboxes.bubblewrap.filesystem import system_arguments
from airside.sandboxes.bubblewrap.sandbox import NAMESPACES, BubblewrapSandbox
from airside.sandboxes.bubblewrap.seccomp import MACHINES
from airside.sandboxes.contract import SandboxSpec
from airside.sandboxes.surroundings import find_program, place_of

_PROGRAMS = {"bwrap": "bubblewrap", "socat": "socat", "prlimit": "util-linux", "python3": "python3"}
_ANSWERS_WITHIN_S = 20


class BubblewrapDriver:
    """Builds sandboxes of Linux namespaces."""

    kind = "bubblewrap"

    def unavailable_because(self) -> str | None:
        if platform.system() != "Linux" or platform.machine() not in MACHINES:
            return (
                f"bubblewrap sandboxes need Linux on {' or '.join(MACHINES)}, "
                f"and this is {platform.system()} on {platform.machine()}; choose the sandbox `process`."
            )
        missing = [package for program, package in _PROGRAMS.items() if find_program(program) is None]
        if missing:
            return f"{' and '.join(missing)} not installed; run `apt-get install {' '.join(missing)}`."
        return _refusal_of_the_kernel()

    def build(self, spec: SandboxSpec) -> BubblewrapSandbox:
        return BubblewrapSandbox(spec)


def _refusal_of_the_kernel() -> str | None:
    """What bubblewrap says when it cannot make its namespaces here."""
    command = [place_of("bwrap"), *NAMESPACES, *system_arguments(), "--", "true"]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=_ANSWERS_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return f"bubblewrap did not start a program within {_ANSWERS_WITHIN_S} s; choose the sandbox `process`."
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace").strip()
    return (
        f"bubblewrap cannot make its namespaces here ({said}); allow unprivileged user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), "
        "or choose the sandbox `process`."
    )
