"""What a repository's address may hold, and what becomes of what it may not."""

from __future__ import annotations

import socket
from os import defpath
from pathlib import Path

import pytest

from airside.errors import BadInput
from airside.ids import SessionId
from airside.sessions.repository_address import (
    CredentialInAddress,
    refuse_credentials,
    text_without_credentials,
    without_credentials,
)
from airside.sessions.sessions import Repository
from airside.sessions.workspace import Cloner, RepositoryUnavailable

SESSION = SessionId("sesn_1")


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://bob:s3cretpw@127.0.0.1:7841/pub.git", "http://127.0.0.1:7841/pub.git"),
        ("https://ghp_s3cretpw@github.com/a/b.git", "https://github.com/a/b.git"),
        ("HTTPS://bob:s3cretpw@h/a@b.git", "HTTPS://h/a@b.git"),
        ("https://bob:s3c@retpw's \"own@h/b.git", "https://h/b.git"),
        ("https://bob:s3cretpw@[::1]:80/b.git", "https://[::1]:80/b.git"),
        ("ssh://git:s3cretpw@h/b.git", "ssh://git@h/b.git"),
        ("ftp://bob:s3cretpw@h/b.git", "ftp://h/b.git"),
    ],
)
def test_a_credential_in_a_url_is_refused_and_not_shown(url: str, plain: str) -> None:
    with pytest.raises(CredentialInAddress) as refused:
        refuse_credentials(url)
    assert "s3c" not in str(refused.value)
    assert "~/.netrc" in str(refused.value)
    assert without_credentials(url) == plain


@pytest.mark.parametrize(
    "url",
    ["https://h:8080/a/b@2.git", "ssh://git@h:22/b.git", "git@h:a/b.git", "/srv/a:b@c.git", "http://[::1]:80/b.git"],
)
def test_an_address_without_a_secret_is_taken_as_it_is(url: str) -> None:
    refuse_credentials(url)
    assert without_credentials(url) == url


def test_a_password_with_a_slash_is_refused_too() -> None:
    with pytest.raises(BadInput) as refused:
        refuse_credentials("https://bob:s3/cretpw@h/b.git")
    assert "s3" not in str(refused.value)


def test_urls_within_a_text_lose_their_credentials() -> None:
    text = "fatal: unable to access 'http://bob:s3cretpw@h:1/b.git/': it's away; write to a@b.example"
    plain = "fatal: unable to access 'http://h:1/b.git/': it's away; write to a@b.example"
    assert text_without_credentials(text) == plain


async def test_a_session_stored_with_a_password_is_not_cloned(tmp_path: Path) -> None:
    cloner = Cloner({"PATH": defpath, "HOME": str(tmp_path)})
    with pytest.raises(CredentialInAddress):
        await cloner.provide(tmp_path / "workspace", Repository("http://bob:s3cretpw@127.0.0.1:1/b.git"), SESSION)
    assert not (tmp_path / "workspace").exists()


async def test_what_git_says_of_a_failed_clone_names_no_credential(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"127.0.0.1:{taken.getsockname()[1]}"
    # As administrators give git a token for a host: by rewriting its addresses.
    (tmp_path / ".gitconfig").write_text(f'[url "http://bob:s3cretpw@{closed}/"]\n\tinsteadOf = http://{closed}/\n')
    cloner = Cloner({"PATH": defpath, "HOME": str(tmp_path)})
    with pytest.raises(RepositoryUnavailable, match=f"unable to access 'http://{closed}/b.git/'") as failed:
        await cloner.provide(tmp_path / "workspace", Repository(f"http://{closed}/b.git"), SESSION)
    assert "s3cretpw" not in str(failed.value)
