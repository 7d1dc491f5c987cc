"""Which OpenCode is run, and where it comes from."""

from __future__ import annotations

from airside.harnesses.installation.programs import NpmPackage, Pin, Program

_PINNED = "1.18.33"
_X64, _X64_BASELINE, _ARM64 = "opencode-linux-x64", "opencode-linux-x64-baseline", "opencode-linux-arm64"

PROGRAM = Program(
    name="opencode",
    pinned=_PINNED,
    # Before 1.0.216 its server took commands from anybody; the oldest that was tried with these settings is newer.
    floor="1.18.0",
    sources=(
        NpmPackage(
            packages={"x86_64": _X64, "x86_64-baseline": _X64_BASELINE, "aarch64": _ARM64},
            executable="package/bin/opencode",
            pins={
                (_X64, _PINNED): Pin(
                    _PINNED,
                    (
                        "sha512-q/t/3p2CTxOT9y2kvjesb/LZab2+1eqlhhWA02Be6mjTtmYtNBcBsrI5yDo4Fw7ZSPBW2oyMIGMNRqiKQjiAWw==",
                    ),
                ),
                (_X64_BASELINE, _PINNED): Pin(
                    _PINNED,
                    (
                        "sha512-1KQGBiiDDeL/VHHbHkOvvFo8Jr97WT5+C1tear+p7IcDTnXgVHXqIjU4O4jM4mHQzykTP2i884FCnW5LDa+zCA==",
                    ),
                ),
            },
        ),
    ),
)
