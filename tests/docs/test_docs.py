"""What the documents say is so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from airside.config.file import parse_file

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), ROOT / "benches/README.md"]
)
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def quoted_paths(text: str) -> Iterator[str]:
    """What stands in back quotes and begins like a path of this repository."""
    roots = "airside|gateway|contracts|docs|tests|benches|examples|tools|web"
    yield from re.findall(rf"`((?:{roots})/[\w./-]+)`", text)


def test_every_path_in_the_architecture_exists() -> None:
    missing = [path for path in quoted_paths(ARCHITECTURE) if not (ROOT / path).exists()]
    assert missing == []


def test_the_layers_in_the_architecture_are_those_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [set(re.split(r"[ |]+", row)) for row in next(one for one in contract if one["id"] == "layers")["layers"]]
    section = ARCHITECTURE.split("## Python")[1].split("## Rust")[0]
    rows = re.findall(r"^\d+\. (.*)$", section, re.MULTILINE)
    # A row begins with its layer's names; what it says of them may name files inside.
    named = [set(re.findall(r"`airside/(\w+)(?:\.py)?`", row)) for row in rows]
    assert named == layers


def test_every_crate_is_in_the_architecture() -> None:
    crates = {f"gateway/crates/{path.name}" for path in (ROOT / "gateway" / "crates").iterdir() if path.is_dir()}
    assert crates <= set(quoted_paths(ARCHITECTURE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text())
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "reference" / "airside-yaml.md"], ids=lambda p: p.name
)
def test_every_configuration_in_the_documents_is_valid(page: Path) -> None:
    text = page.read_text()
    blocks = [
        *re.findall(r"<<'YAML'\n(.*?)\nYAML", text, re.DOTALL),
        *re.findall(r"```yaml\n(.*?)```", text, re.DOTALL),
    ]
    assert blocks
    for block in blocks:
        assert parse_file(block, page.name).content.agents


def test_the_reference_of_the_command_line_is_current(tmp_path: Path) -> None:
    written = tmp_path / "cli.md"
    subprocess.run([sys.executable, ROOT / "tools" / "write-cli-reference", written], check=True, timeout=60)
    assert written.read_text() == (ROOT / "docs" / "reference" / "cli.md").read_text(), "run `make docs`"


def test_every_command_in_the_readme_exists() -> None:
    known = set(re.findall(r"^## airside (.+)$", (ROOT / "docs" / "reference" / "cli.md").read_text(), re.MULTILINE))
    used = re.findall(r"^airside ((?:[a-z]+ ?)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert used
    for words in used:
        first, *rest = words.split()
        assert first in known or f"{first} {rest[0]}" in known, words


def test_decisions_are_numbered_without_gaps_and_say_when_to_look_again() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        for part in ("**Question.**", "**Answer.**", "**What we gave up.**", "**Look again**"):
            assert part in page.read_text(), (page.name, part)


def test_every_error_code_of_the_gateway_has_a_heading_and_every_heading_a_code() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text()
    headings = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    sources = {path: path.read_text() for path in (ROOT / "gateway/crates").glob("*/src/**/*.rs")}
    refused = r'(?:Refusal::new\(\s*\d+,|malformed\()\s*"([a-z]+(?:_[a-z]+)*)",'
    codes = {code for text in sources.values() for code in re.findall(refused, text)}
    bodies = sources[ROOT / "gateway/crates/protocols/src/request.rs"]
    codes |= set(re.findall(r'=> "([a-z_]+)",$', bodies.split("fn code(&self)")[1].split("impl")[0], re.MULTILINE))
    assert len(codes) > 30, "the sources are read"
    assert codes - headings == set()
    everything = "".join(sources.values())
    assert [heading for heading in headings if f'"{heading}"' not in everything] == []
