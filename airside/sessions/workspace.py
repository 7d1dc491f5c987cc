"""The workspace of a session: cloned before the first turn, read after each one.

Cloning runs git on this machine, into an empty folder. From then on the tree is hostile, its `.git` included, so
everything that reads it (git, tar) runs inside the session's own sandbox.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airside.errors import AirsideError, BadInput
from airside.ids import SessionId
from airside.sandboxes.contract import Sandbox
from airside.sessions.repository_address import refuse_credentials, text_without_credentials
from airside.sessions.sessions import Repository

CLONE_TIMEOUT_S = 600.0
READ_TIMEOUT_S = 300.0

# A throw-away index, so that what the agent staged stays as it is. Hooks and monitors of the tree are not run.
_PATCH = """
set -e
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 "$@"; }
GIT_INDEX_FILE=$(mktemp -u) && export GIT_INDEX_FILE
trap 'rm -f "$GIT_INDEX_FILE"' EXIT
git read-tree "$1"
git add --all .
git diff --cached --binary --no-color --no-ext-diff --no-textconv "$1"
"""
_PACK = 'cd "$1" && shift && tar --sort=name --numeric-owner --ignore-failed-read -czf - -- "$@"'
_PACK_MATCHING = """
cd "$HOME" || exit 1
for pattern in "$@"; do
  for path in $pattern; do [ -e "$path" ] && printf '%s\\0' "$path"; done
done | tar --sort=name --numeric-owner --ignore-failed-read --null --files-from=- -czf -
"""
_UNPACK = 'mkdir -p "$1" && cd "$1" && tar --no-same-owner --no-overwrite-dir -xzf -'


class RepositoryUnavailable(AirsideError):
    """The repository could not be cloned or holds no such branch or commit."""

    code = "repository_unavailable"


class WorkspaceUnreadable(AirsideError):
    """A patch or snapshot could not be made; the session itself is not touched by that."""

    code = "workspace_unreadable"


@dataclass(frozen=True, slots=True)
class Cloner:
    """Makes workspaces. `variables`: the environment that git gets on this machine, for proxies and credentials."""

    variables: Mapping[str, str]
    allow_local_paths: bool = True

    async def provide(self, workspace: Path, repository: Repository | None, session_id: SessionId) -> str:
        """Make the workspace unless it is there, and return the commit it began with.

        Atomic: a clone that was cut off is begun again. Raises `RepositoryUnavailable`, and `BadInput` for a local
        path where those are not allowed and for a URL with a credential in it: git would write it into the clone.
        """
        if not is_provided(workspace):
            partial = workspace.with_name("workspace.partial")
            for leftover in (partial, workspace):
                await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
            await self._fetch(partial, repository, session_id)
            base_commit = await self._git(partial, "rev-parse", "HEAD")
            partial.rename(workspace)
            note_provided(workspace, base_commit.strip())
        return _base_file(workspace).read_text().strip()

    async def _fetch(self, folder: Path, repository: Repository | None, session_id: SessionId) -> None:
        if repository is None:
            await self._git(folder.parent, "init", "--quiet", "--template=", "--initial-branch=main", str(folder))
        else:
            await self._clone(folder, repository)
        await self._git(folder, "config", "user.name", "Airside agent")
        await self._git(folder, "config", "user.email", f"{session_id.lower()}@agents.airside.invalid")
        if await self._is_empty(folder):
            await self._git(folder, "commit", "--quiet", "--allow-empty", "--message=Begin")
        # Kept as a ref, so that no later garbage collection takes away what the patch is made against.
        await self._git(folder, "update-ref", "refs/airside/base", "HEAD")

    async def _clone(self, folder: Path, repository: Repository) -> None:
        local = repository.url.startswith(("/", "file://"))
        if local and not self.allow_local_paths:
            raise BadInput(
                f"this server does not take repositories from its own disk ({repository.url})",
                hint="Give an https:// or ssh URL.",
            )
        if not local and "://" not in repository.url and ":" not in repository.url:
            raise BadInput(
                f"{repository.url!r} is no repository", hint="Give an absolute path on the server, or a URL."
            )
        refuse_credentials(repository.url)
        branch = [f"--branch={repository.branch}"] if repository.branch else []
        await self._git(
            folder.parent,
            "clone",
            "--quiet",
            "--no-hardlinks",
            "--template=",
            *branch,
            "--",
            repository.url,
            str(folder),
        )
        if repository.commit:
            await self._git(folder, "checkout", "--quiet", "--detach", repository.commit)

    async def _is_empty(self, folder: Path) -> bool:
        try:
            await self._git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
        except RepositoryUnavailable:
            return True
        return False

    async def _git(self, folder: Path, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            *arguments,
            cwd=folder,
            env={
                **self.variables,
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_ALLOW_PROTOCOL": "file:http:https:ssh:git",
                "LC_ALL": "C",
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), CLONE_TIMEOUT_S)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            detail = errors.decode(errors="replace").strip() or f"exit code {process.returncode}"
            raise RepositoryUnavailable(
                f"git {arguments[0]} failed: {text_without_credentials(detail)}",
                hint="Check the address, the branch and what this server may read.",
            )
        return output.decode(errors="replace")


def _base_file(workspace: Path) -> Path:
    return workspace.with_name("workspace.base")


def is_provided(workspace: Path) -> bool:
    """True if the workspace is complete on this machine."""
    return _base_file(workspace).exists()


def note_provided(workspace: Path, base_commit: str) -> None:
    """Say that the workspace is complete, and which commit it began with."""
    _base_file(workspace).write_text(f"{base_commit}\n")


async def make_patch(sandbox: Sandbox, base_commit: str) -> bytes:
    """Everything that changed since `base_commit`, committed or not, new files included; empty if nothing did."""
    return await _run(sandbox, ["sh", "-c", _PATCH, "sh", base_commit], "a patch")


async def pack_workspace(sandbox: Sandbox) -> bytes:
    """The whole workspace as tar.gz, `.git` included."""
    return await _run(sandbox, ["sh", "-c", _PACK, "sh", str(sandbox.workspace), "."], "a snapshot of the workspace")


async def pack_home(sandbox: Sandbox, patterns: Sequence[str]) -> bytes:
    """The files under HOME that match, as tar.gz."""
    return await _run(sandbox, ["sh", "-c", _PACK_MATCHING, "sh", *patterns], "a snapshot of the harness's files")


async def unpack(sandbox: Sandbox, folder: Path, archive: bytes) -> None:
    """Put a packed tree back into a folder inside the sandbox."""
    await _run(sandbox, ["sh", "-c", _UNPACK, "sh", str(folder)], "the restored files", stdin=archive)


async def _run(sandbox: Sandbox, command: Sequence[str], what: str, *, stdin: bytes = b"") -> bytes:
    completed = await sandbox.run(command, timeout_s=READ_TIMEOUT_S, stdin=stdin)
    if completed.exit_code != 0:
        detail = completed.stderr.decode(errors="replace").strip()[-500:]
        raise WorkspaceUnreadable(f"{what} could not be made: {detail or f'exit code {completed.exit_code}'}")
    return completed.stdout
