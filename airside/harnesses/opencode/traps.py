"""Files of a repository that OpenCode runs whatever it is told, and how git gets on while they are concealed."""

from __future__ import annotations

import structlog

from airside.errors import AirsideError
from airside.sandboxes.contract import Sandbox

logger = structlog.get_logger()

# Of two readers of its configuration one heeds the switches in `settings`. The other loads plugins, which are programs,
# from these places whatever is switched off, so they are kept out of its sight.
TRAPS = (".opencode", "opencode.json", "opencode.jsonc")

_WITHIN_S = 60

# To git a file that it may not open is a changed one that cannot be added. So what is concealed is marked: what is
# tracked by a bit in the index, what is not by lines in `info/exclude`. The index is changed in a copy, because of a
# lock that a killed git left behind; with its time, by which git tells what may have changed since.
# A folder that is no working tree of its own is left alone: the one found then would be somebody else's.
_MARK = """
git() { command git --literal-pathspecs -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
[ "$(git rev-parse --show-toplevel)" = "$(pwd -P)" ] || exit 0
mark() {
  cp -p "$index" "$index.airside" || return
  git ls-files -z -- "$@" | GIT_INDEX_FILE=$index.airside git update-index "$bit" -z --stdin || return
  mv "$index.airside" "$index"
}
begin='# Concealed by Airside while OpenCode runs' end='# End of what is concealed'
index=$(git rev-parse --git-path index) exclude=$(git rev-parse --git-path info/exclude) failed=0
if [ -e "$exclude" ]; then
  sed "/^$begin\\$/,/^$end\\$/d" "$exclude" >"$exclude.airside" && mv "$exclude.airside" "$exclude"
  [ -s "$exclude" ] || { rm "$exclude"; rmdir "${exclude%/*}" 2>/dev/null; }
fi
marked=$(git ls-files -t -- "$@" | grep '^S ')
if [ -n "$marked" ]; then bit=--no-skip-worktree; mark "$@" || failed=1; fi
[ "$conceal" = yes ] || exit "$failed"
for name in "$@"; do
  shift
  [ -e "$name" ] && set -- "$@" "$name"
done
[ "$#" -gt 0 ] || exit "$failed"
if [ -e "$index" ]; then bit=--skip-worktree; mark "$@" || failed=1; fi
mkdir -p "${exclude%/*}"
{ echo "$begin"; printf '/%s\\n' "$@"; echo "$end"; cat "$exclude" 2>/dev/null; } >"$exclude.airside"
mv "$exclude.airside" "$exclude" || failed=1
exit "$failed"
"""


async def keep_from_git(sandbox: Sandbox) -> None:
    """Have git leave alone what is about to be concealed. Safe to repeat."""
    await _mark(sandbox, "conceal=yes")


async def give_back_to_git(sandbox: Sandbox) -> None:
    """Take every mark of `keep_from_git` out of the workspace, once nothing is concealed any more. Safe to repeat."""
    await _mark(sandbox, "conceal=no")


async def _mark(sandbox: Sandbox, setting: str) -> None:
    """Without the marks a session still runs, with a git that trips; so a tree that git cannot read fails nothing."""
    try:
        marked = await sandbox.run(["sh", "-c", f"{setting}\n{_MARK}", "airside", *TRAPS], timeout_s=_WITHIN_S)
    except AirsideError as error:
        logger.warning("git was not told what is concealed", error=error.message)
        return
    if marked.exit_code != 0:
        detail = marked.stderr.decode(errors="replace").strip()[-500:]
        logger.warning("git was not told what is concealed", error=detail)
