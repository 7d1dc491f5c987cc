"""The gateway is built with the profile of its calls by the compiler that the profile is for, and by no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAYS_FLAGS = """#!/bin/sh
printf 'flags:%s\\n' "$CARGO_ENCODED_RUSTFLAGS" | tr '\\037' ' '
exit 3
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose compiler is `rustc 1.2.3`, with a space in its path and a builder that only says its flags."""
    place = tmp_path / "a checkout"
    for folder in ("tools", "gateway/profile", "venv/bin", "bin"):
        (place / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "build-gateway", place / "tools")
    for program, text in (("venv/bin/maturin", SAYS_FLAGS), ("bin/rustc", "#!/bin/sh\necho rustc 1.2.3\n")):
        (place / program).write_text(text)
        (place / program).chmod(0o755)
    return place


def built(checkout: Path, *options: str, **environment: str) -> tuple[str, str]:
    """The flags that the compiler would be given, and all that was said."""
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"  # noqa: TID251
    said = subprocess.run(
        ["tools/build-gateway", "venv", *options],
        cwd=checkout,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 3, said.stderr
    return said.stdout.split("flags:")[1].strip(), said.stdout


def test_the_compiler_of_the_profile_is_given_it(checkout: Path) -> None:
    (checkout / "gateway/profile/compiler").write_text("rustc 1.2.3\n")
    wanted = f"-Cprofile-use={checkout}/gateway/profile/calls.profdata"
    assert built(checkout)[0] == wanted
    assert built(checkout, RUSTFLAGS="-Ca -Cb")[0] == f"-Ca -Cb {wanted}"


def test_another_compiler_builds_without_it_and_says_so(checkout: Path) -> None:
    (checkout / "gateway/profile/compiler").write_text("rustc 1.2.2\n")
    flags, said = built(checkout)
    assert flags == ""
    assert "gateway/profile is for rustc 1.2.2; with rustc 1.2.3 the gateway is built without it" in said


def test_a_gateway_that_counts_takes_no_profile(checkout: Path) -> None:
    (checkout / "gateway/profile/compiler").write_text("rustc 1.2.3\n")
    assert built(checkout, "--counting", "/counts")[0] == "-Cprofile-generate=/counts"


def test_the_profile_that_is_kept_names_its_compiler() -> None:
    assert (ROOT / "gateway/profile/compiler").read_text().startswith("rustc ")
    assert (ROOT / "gateway/profile/calls.profdata").stat().st_size > 0
