"""Addresses of repositories, and the credentials that do not belong in them.

A session's address is stored, shown, and kept by git in the clone that the agent works on: a password in it would be in
all three. Git on the worker's machine has places of its own for credentials.
"""

from __future__ import annotations

import re

from airside.errors import BadInput

# What stands between `://` and the path. In a text an address ends at a space or a quotation mark, too.
_ADDRESS = re.compile(r"([A-Za-z][\w+.-]*)://([^/?#]*)")
_ADDRESS_IN_TEXT = re.compile(r"([A-Za-z][\w+.-]*)://([^/?#\s'\"]*)")
_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?")
_OVER_SSH = {"ssh", "git+ssh", "ssh+git"}


class CredentialInAddress(BadInput):
    """A repository's address holds a password or a token."""

    code = "credential_in_address"

    def __init__(self) -> None:
        super().__init__(
            "the repository's URL holds a credential, which would be stored and shown with the session",
            hint="Leave out what stands before the @, and give the credential to git on the worker's machine: "
            "in ~/.netrc, by a credential helper in ~/.gitconfig, or as an ssh key with an ssh URL.",
        )


def refuse_credentials(url: str) -> None:
    """Raise `CredentialInAddress` for a URL with a password, or over HTTP with a user: that is how tokens are given."""
    if without_credentials(url) != url:
        raise CredentialInAddress
    found = _ADDRESS.search(url)
    if found is not None and _PORT.fullmatch(found[2].rpartition("@")[2]) is None:
        # Not said which: a password with a slash in it looks like that.
        raise BadInput("the repository's URL has a port that is no number", hint="Give it as https://HOST:PORT/PATH.")


def without_credentials(url: str) -> str:
    """The URL without its password, and over anything but ssh without its user: there a user may be a token."""
    return _ADDRESS.sub(_plain, url)


def text_without_credentials(text: str) -> str:
    """The text, with every URL in it as `without_credentials` leaves it."""
    return _ADDRESS_IN_TEXT.sub(_plain, text)


def _plain(address: re.Match[str]) -> str:
    scheme, authority = address.groups()
    user, _, host = authority.rpartition("@")
    account = user.partition(":")[0] if scheme.lower() in _OVER_SSH else ""
    return f"{scheme}://{account}@{host}" if account else f"{scheme}://{host}"
