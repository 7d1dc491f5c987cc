"""Starting a harness on our settings alone, in a HOME where an earlier turn may have left others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SCRIPT = """
while [ "$1" != -- ]; do
  folder=$HOME/$1
  if [ -L "$folder" ]; then rm "$folder"; fi
  mkdir -p "$folder"
  find "$folder" -mindepth 1 -maxdepth 1 ! -name "$2" -exec rm -rf {} +
  shift 2
done
shift
exec "$@"
"""


def forgetting(command: Sequence[str], kept: Mapping[str, str]) -> list[str]:
    """The command, begun by emptying these folders under HOME but for what matches the pattern of each.

    A harness reads settings, plugins and servers of its own from HOME, and whatever ran there before could write them:
    they would give an agent in its next turn what it was denied in this one.
    """
    pairs = [word for pair in kept.items() for word in pair]
    return ["sh", "-c", _SCRIPT, "airside", *pairs, "--", *command]
