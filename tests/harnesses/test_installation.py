"""Installing harness programs: pinned, checked, whole or not at all, and found again."""

import platform
import threading
from pathlib import Path

import pytest
from harness_lab import INSTALLATIONS
from registries import make_tarball, make_wheel, npm_digest, npm_registry, program, use_wheels

from airside.errors import BadInput
from airside.harnesses.installation import (
    HarnessMissing,
    HarnessTooOld,
    Installations,
    InstallFailed,
    NpmPackage,
    Pin,
    Program,
    PypiWheel,
)


def of_wheel(*digests: str, floor: str = "1.0", version: str = "2.0") -> Program:
    wheel = PypiWheel("demo-agent", "demo_agent/bin/demo", {version: Pin(version, digests)})
    return Program(name="demo", pinned=version, floor=floor, sources=(wheel,))


def of_npm(*digests: str) -> Program:
    pins = {("demo-linux", "3.1.4"): Pin("3.1.4", digests)}
    packages = {platform.machine(): "demo-linux", f"{platform.machine()}-baseline": "demo-linux"}
    return Program("demo", pinned="3.1.4", floor="1.0", sources=(NpmPackage(packages, "package/bin/demo", pins),))


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    use_wheels(monkeypatch, folder)
    return folder


def everything(root: Path) -> set[str]:
    """What is in a root, but for its lock."""
    return {place.name for place in root.iterdir()} - {".lock"}


def test_a_pinned_program_is_fetched_checked_and_found(wheels: Path, tmp_path: Path) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [tmp_path / "root"])
    said: list[str] = []
    installed = demo.install("demo", progress=said.append)
    assert installed.version == "2.0"
    assert installed.executable.read_bytes() == program("2.0")
    assert installed.executable.is_relative_to(installed.folder)
    assert demo.find("demo") == installed
    assert demo.find("demo", "2.0") == installed
    assert demo.installed() == [installed]
    assert said == [
        "fetching demo-agent 2.0, to be checked against its pinned digest",
        "checking that demo 2.0 starts",
        "installed demo 2.0",
    ]


def test_installing_again_fetches_nothing(wheels: Path, tmp_path: Path) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [tmp_path / "root"])
    first = demo.install("demo")
    (wheels / "demo_agent-2.0-py3-none-any.whl").unlink()
    said: list[str] = []
    assert demo.install("demo", progress=said.append) == first
    assert said == ["demo 2.0 is installed"]


def test_another_content_than_the_pinned_one_is_refused_and_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    digest = make_wheel(wheels, "2.0", program("2.0"))
    make_wheel(wheels, "2.0", b"#!/bin/sh\necho demo 2.0; echo evil\n")
    demo = Installations([of_wheel(digest)], [tmp_path / "root"])
    with pytest.raises(InstallFailed, match=r"demo-agent 2\.0 is not what is pinned") as refused:
        demo.install("demo")
    assert "changed it on its way" in str(refused.value.hint)
    assert everything(tmp_path / "root") == set()
    assert demo.installed() == []


def test_another_version_is_installed_without_a_pin(wheels: Path, tmp_path: Path) -> None:
    digest = make_wheel(wheels, "2.0", program("2.0"))
    make_wheel(wheels, "2.5", program("2.5"))
    demo = Installations([of_wheel(digest)], [tmp_path / "root"])
    demo.install("demo", "2.5")
    assert demo.find("demo").version == "2.5"
    demo.install("demo")
    assert demo.find("demo").version == "2.0"  # the pinned one, once it is there
    assert [each.version for each in demo.installed()] == ["2.0", "2.5"]


@pytest.mark.parametrize("content", [b"#!/bin/sh\nexit 1\n", program("1.9"), b"\x7fELF garbage"])
def test_a_program_that_does_not_start_as_its_version_is_not_installed(
    wheels: Path, tmp_path: Path, content: bytes
) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", content))], [tmp_path / "root"])
    with pytest.raises(InstallFailed, match="what was fetched"):
        demo.install("demo")
    assert everything(tmp_path / "root") == set()


def test_a_registry_out_of_reach_is_told_with_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(InstallFailed) as failed:
        Installations([of_wheel("sha256:" + "0" * 64)], [tmp_path]).install("demo")
    assert failed.value.hint is not None
    assert "reaches the package registry" in failed.value.hint


def test_a_version_that_is_not_there_is_told_with_how_to_see_which_are(wheels: Path, tmp_path: Path) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [tmp_path / "root"])
    with pytest.raises(InstallFailed, match=r"there is no demo-agent 9999\.0\.0") as failed:
        demo.install("demo", "9999.0.0")
    assert failed.value.hint == "see which versions there are with: pip index versions demo-agent"
    assert everything(tmp_path / "root") == set()


def test_two_who_install_the_same_get_one_installation(wheels: Path, tmp_path: Path) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [tmp_path / "root"])
    said: list[str] = []
    both = [threading.Thread(target=demo.install, args=("demo",), kwargs={"progress": said.append}) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert said.count("installed demo 2.0") == 1
    assert said.count("demo 2.0 is installed") == 1


def test_what_a_killed_installation_left_is_not_found_and_is_cleaned_up(wheels: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for place in (root / ".incoming" / "2.0" / "program", root / "demo" / "2.0"):
        place.mkdir(parents=True)
        (place / "half").touch()
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [root])
    with pytest.raises(HarnessMissing):
        demo.find("demo")
    assert demo.install("demo").version == "2.0"
    assert everything(root) == {"demo"}


def test_a_missing_harness_names_the_command_that_installs_it(tmp_path: Path) -> None:
    demo = Installations([of_wheel()], [tmp_path])
    with pytest.raises(HarnessMissing) as missing:
        demo.find("demo")
    assert missing.value.hint == "install it with: airside harness install demo"
    with pytest.raises(HarnessMissing) as missing:
        demo.find("demo", "2.1")
    assert missing.value.hint == "install it with: airside harness install demo@2.1"


def test_a_missing_harness_is_to_be_installed_where_it_was_looked_for(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    with pytest.raises(HarnessMissing) as missing:
        Installations([of_wheel()], [data / "harnesses"], data).find("demo")
    assert missing.value.hint == f"install it with: airside harness install demo --data '{data}'"


def test_a_version_under_the_floor_is_neither_installed_nor_used(wheels: Path, tmp_path: Path) -> None:
    digest = make_wheel(wheels, "2.0", program("2.0"))
    Installations([of_wheel(digest)], [tmp_path / "root"]).install("demo")
    stricter = Installations([of_wheel(digest, floor="2.1", version="2.2")], [tmp_path / "root"])
    with pytest.raises(HarnessTooOld, match=r"older than 2\.1"):
        stricter.install("demo", "2.0")
    with pytest.raises(HarnessTooOld):
        stricter.find("demo", "2.0")
    with pytest.raises(HarnessMissing):
        stricter.find("demo")
    assert [each.version for each in stricter.installed()] == ["2.0"]


@pytest.mark.parametrize("version", ["latest", "", "../../etc", "1.0-beta"])
def test_what_is_no_version_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(BadInput, match="is no version"):
        Installations([of_wheel()], [tmp_path]).find("demo", version)


def test_an_unknown_harness_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as unknown:
        Installations([of_wheel()], [tmp_path]).install("cursor")
    assert unknown.value.hint == "harnesses: demo"


def test_removing_takes_one_version_away(wheels: Path, tmp_path: Path) -> None:
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [tmp_path / "root"])
    demo.install("demo")
    demo.remove("demo", "2.0")
    assert demo.installed() == []
    assert everything(tmp_path / "root") == {"demo"}
    with pytest.raises(HarnessMissing):
        demo.remove("demo", "2.0")


def test_the_first_root_wins_and_any_can_be_named_for_installing(wheels: Path, tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    demo = Installations([of_wheel(make_wheel(wheels, "2.0", program("2.0")))], [own, shared])
    assert demo.install("demo", root=shared).folder.is_relative_to(shared)
    assert demo.find("demo").folder.is_relative_to(shared)
    assert demo.install("demo").folder.is_relative_to(own)
    assert demo.find("demo").folder.is_relative_to(own)


def test_an_npm_package_is_checked_by_us_and_runs_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = make_tarball("3.1.4", program("3.1.4"))
    Path("/tmp/canary-of-npm").unlink(missing_ok=True)
    with npm_registry("3.1.4", tarball) as address:
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        demo = Installations([of_npm(npm_digest(tarball))], [tmp_path / "root"])
        assert demo.install("demo").executable.read_bytes() == program("3.1.4")
        swapped = Installations([of_npm(npm_digest(b"another"))], [tmp_path / "other"])
        with pytest.raises(InstallFailed, match="which is not the pinned one"):
            swapped.install("demo")
    assert everything(tmp_path / "other") == set()
    assert not Path("/tmp/canary-of-npm").exists()


def test_a_version_that_npm_does_not_find_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with npm_registry("3.1.4", make_tarball("3.1.4", program("3.1.4"))) as address:
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        with pytest.raises(InstallFailed, match=r"there is no demo-linux 9999\.0\.0") as failed:
            Installations([of_npm()], [tmp_path / "root"]).install("demo", "9999.0.0")
    assert failed.value.hint == "see which versions there are with: npm view demo-linux versions"


@pytest.mark.harness
def test_without_npm_on_the_machine_one_is_fetched_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = make_tarball("3.1.4", program("3.1.4"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with npm_registry("3.1.4", tarball) as address:
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        demo = Installations([of_npm(npm_digest(tarball))], [tmp_path / "root"])
        said: list[str] = []
        assert demo.install("demo", progress=said.append).version == "3.1.4"
    assert "since this machine has no npm" in said[0]
    assert everything(tmp_path / "root") == {"demo", ".tools"}


def test_the_agent_that_is_part_of_the_package_needs_no_installing() -> None:
    installed = INSTALLATIONS.find("scripted")
    assert installed == INSTALLATIONS.install("scripted")
    assert installed.executable.is_file()


@pytest.mark.harness
@pytest.mark.parametrize("name", ["claude-code", "codex", "opencode"])
def test_the_pinned_release_of_a_real_harness_is_there(real_programs: None, name: str) -> None:
    assert name in {each.name for each in INSTALLATIONS.installed()}
    assert INSTALLATIONS.find(name).folder.name == INSTALLATIONS.find(name).version
