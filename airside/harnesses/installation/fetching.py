"""Fetching one version of a program into a folder, checked against its pin."""

from __future__ import annotations

import base64
import hashlib
import platform
import shutil
import tarfile
from pathlib import Path

from airside.harnesses.installation.clients import CHANGED_ON_ITS_WAY, Progress, fetch_npm_tarball, fetch_wheel, npm
from airside.harnesses.installation.programs import InstallFailed, NpmPackage, Pin, Program, PypiWheel


def fetch(program: Program, version: str, into: Path, tools: Path, progress: Progress) -> Path:
    """Put this version of a program into a folder, and return where in it the executable is.

    `tools` is a folder for clients that this machine lacks. Raises `InstallFailed`.
    """
    for source in program.sources:
        if isinstance(source, PypiWheel):
            pin = _wheel_pin(source, version)
            if pin is not None:
                progress(f"fetching {source.package} {pin.version}{_checked(pin)}")
                fetch_wheel(source.package, pin, into)
                return _executable(into, source.executable)
        else:
            package = _package(source)
            if package is not None:
                _fetch_from_npm(package, source, version, into=into, tools=tools, progress=progress)
                return _executable(into, source.executable)
    raise InstallFailed(
        f"there is no {program.name} {version} for Linux on {platform.machine()}",
        hint=f"the pinned version is {program.pinned}: airside harness install {program.name}",
    )


def _checked(pin: Pin) -> str:
    return ", to be checked against its pinned digest" if pin.digests else ""


def _wheel_pin(source: PypiWheel, version: str) -> Pin | None:
    """The pin of this version; one without digests where the wheel is numbered like its program; else None."""
    pin = source.pins.get(version)
    if pin is None and all(known.version == number for number, known in source.pins.items()):
        return Pin(version, ())
    return pin


def _package(source: NpmPackage) -> str | None:
    """The package for this machine. Builds for newer processors are taken only where these are."""
    machine = platform.machine()
    if machine == "x86_64" and "avx2" not in Path("/proc/cpuinfo").read_text():
        return source.packages.get(f"{machine}-baseline")
    return source.packages.get(machine)


def _fetch_from_npm(
    package: str, source: NpmPackage, version: str, *, into: Path, tools: Path, progress: Progress
) -> None:
    pin = source.pins.get((package, version), Pin(version, ()))
    command = npm(tools, progress)
    progress(f"fetching {package} {version}{_checked(pin)}")
    incoming = into.with_name(f"{into.name}-archive")
    archive = fetch_npm_tarball(command, package, version, incoming)
    _check(archive, pin, package)
    into.mkdir()
    with tarfile.open(archive) as packed:
        # Refuses members that lie or point outside, devices and the like.
        packed.extractall(into, filter="data")
    shutil.rmtree(incoming)


def _check(archive: Path, pin: Pin, package: str) -> None:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    spelled = f"sha512-{base64.b64encode(digest).decode()}"
    if pin.digests and spelled not in pin.digests:
        raise InstallFailed(
            f"the archive of {package} {pin.version} has the digest {spelled}, which is not the pinned one",
            hint=CHANGED_ON_ITS_WAY,
        )


def _executable(folder: Path, name: str) -> Path:
    place = folder / name
    if not place.is_file():
        raise InstallFailed(f"what was fetched holds no {name}")
    place.chmod(place.stat().st_mode | 0o111)
    return place
