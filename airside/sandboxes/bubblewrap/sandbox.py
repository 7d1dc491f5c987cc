"""One session's bubblewrap fence: every program is started in namespaces of its own over the session's folders."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from airside.sandboxes.bubblewrap import filesystem
from airside.sandboxes.bubblewrap.bridge import GATEWAY_PORT, SERVED_PORT, launcher
from airside.sandboxes.bubblewrap.seccomp import system_call_filter
from airside.sandboxes.contract import SESSION_VARIABLE, Completed, Endpoint, SandboxSpec, SandboxUnavailable
from airside.sandboxes.leftovers import children_of, end_marked, identify, send
from airside.sandboxes.running import START_VARIABLE, Ending, Launch, RunningProgram, complete, new_start, spawn
from airside.sandboxes.surroundings import PLAIN_GIT, SEARCH_PATH, environment_of, limited, place_of

NAMESPACES = (
    *("--unshare-all", "--unshare-user", "--uid", str(filesystem.USER_ID), "--gid", str(filesystem.USER_ID)),
    *("--hostname", "airside", "--cap-drop", "ALL", "--new-session", "--die-with-parent", "--clearenv"),
)

_LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its closing zero byte
_SIGNALLED = 128  # bubblewrap and shells report a program's death by signal N as 128 + N
_FIRST_PROCESS_INSIDE = 2  # 1 is bubblewrap itself, reaping


class BubblewrapSandbox:
    """A session's programs behind namespaces, reaching nothing but the gateway."""

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec
        self._run_folder: int | None = None

    @property
    def workspace(self) -> Path:
        return filesystem.WORKSPACE

    @property
    def home(self) -> Path:
        return filesystem.HOME

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{GATEWAY_PORT}"

    async def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        listens_on: int | None = None,
        conceals: Sequence[str] = (),
    ) -> RunningProgram:
        gateway = self._gateway_socket()
        if listens_on is None:
            return await self._spawn(command, environment, gateway=gateway, conceals=conceals)
        place = self._socket_of(listens_on)
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(place))
            place.chmod(0o600)
            listener.listen(128)
            return await self._spawn(
                command, environment, gateway=gateway, listener=listener.fileno(), port=listens_on, conceals=conceals
            )

    def _gateway_socket(self) -> Path:
        """The gateway's socket on this machine. Raises `SandboxUnavailable` if it lies beside anything else."""
        place = self._spec.gateway.socket
        if place is None:
            raise SandboxUnavailable(
                "the bubblewrap sandbox reaches the gateway through a unix socket, and this gateway has none",
                hint="start the gateway with its socket, or choose the sandbox `process`",
            )
        strangers = [other.name for other in place.parent.iterdir() if not other.name.startswith(place.name)]
        if strangers:
            raise SandboxUnavailable(
                f"{place.parent} would be shown inside and holds {strangers[0]} beside the gateway's socket",
                hint="give the gateway's socket a folder of its own",
            )
        return place

    async def _spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        gateway: Path | None = None,
        listener: int | None = None,
        port: int | None = None,
        conceals: Sequence[str] = (),
        stderr_bytes: int = 64 << 10,
    ) -> RunningProgram:
        spec = self._spec
        arguments = [*NAMESPACES, *filesystem.system_arguments()]
        arguments += filesystem.session_arguments(spec.paths, spec.programs, spec.memory_bytes)
        # Unreadable rather than empty: version control is then to see a file that it may not open, not a deleted one.
        folders, files = filesystem.concealed(spec.paths.workspace, conceals)
        for folder in folders:
            arguments += ["--perms", "0000", "--tmpfs", folder, "--remount-ro", folder]
        inside = None
        if gateway is not None:
            inside = filesystem.GATEWAY_FOLDER / gateway.name
            arguments += ["--ro-bind", str(gateway.parent), str(filesystem.GATEWAY_FOLDER)]
        # Inside as well: of what is dying outside the mark is gone at once, and what it fenced in dies a little later.
        start = new_start()
        inherited = environment_of(spec.session_id, filesystem.HOME, environment)
        for name, value in {**inherited, START_VARIABLE: start}.items():
            arguments += ["--setenv", name, value]
        limits = limited(command, memory_bytes=spec.memory_bytes, processes=spec.processes)
        script = launcher(gateway_socket=inside, listener=listener, port=port)
        with _arguments_by_descriptor(arguments, unreadable=files) as (by_descriptor, descriptors):
            return await spawn(
                Launch(
                    command=[place_of("bwrap"), *by_descriptor, "--", "sh", "-c", script, "airside", *limits],
                    environment={"PATH": SEARCH_PATH, SESSION_VARIABLE: spec.session_id},
                    descriptors=[*descriptors, *([] if listener is None else [listener])],
                    start=start,
                ),
                Ending(gently=_ask_program_to_end, exit_code=_exit_code_of_program),
                stderr_bytes=stderr_bytes,
            )

    def _socket_of(self, port: int) -> Path:
        """Where the way in to a port lies on this machine, in a spelling short enough for a unix socket."""
        name = f"port-{port}.sock"
        place = self._spec.paths.run / name
        if len(os.fsencode(place)) <= _LONGEST_SOCKET_PATH:
            return place
        if self._run_folder is None:
            self._run_folder = os.open(self._spec.paths.run, os.O_PATH | os.O_DIRECTORY)
            weakref.finalize(self, os.close, self._run_folder)
        return Path(f"/proc/self/fd/{self._run_folder}") / name

    def endpoint(self, port: int) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{port}", self._socket_of(port))

    def free_port(self) -> int:
        # Every program has a loopback of its own, so any port but the gateway's is free.
        return SERVED_PORT

    async def run(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b"", limit_bytes: int = 256 << 20
    ) -> Completed:
        program = await self._spawn(command, PLAIN_GIT, stderr_bytes=limit_bytes)
        return await complete(program, timeout_s=timeout_s, stdin=stdin, limit_bytes=limit_bytes)

    async def stop_leftovers(self) -> int:
        # The mark is on bubblewrap itself, outside; what it fences in dies with it, to the last process.
        return await end_marked(SESSION_VARIABLE, self._spec.session_id)


@contextlib.contextmanager
def _arguments_by_descriptor(
    arguments: Sequence[str], *, unreadable: Sequence[str]
) -> Iterator[tuple[list[str], list[int]]]:
    """Command line of bubblewrap for these arguments, and the descriptors it names, open while the block lasts.

    A command line can be read by every user of the machine, and the environment given to the program is among the
    arguments: so they travel in memory, not on the command line.
    """
    with contextlib.ExitStack() as open_files:

        def in_memory(content: bytes) -> int:
            descriptor = os.memfd_create("airside", os.MFD_CLOEXEC)
            open_files.callback(os.close, descriptor)
            os.write(descriptor, content)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return descriptor

        by_data = []
        descriptors = []
        for place, content in filesystem.etc_files().items():
            descriptors.append(in_memory(content.encode()))
            # Not --ro-bind-data: that shows a file already unlinked, and programs that check where a file really
            # lies before they read it refuse one that lies nowhere.
            by_data += ["--perms", "0444", "--file", str(descriptors[-1]), place]
        for place in unreadable:
            descriptors.append(in_memory(b""))
            by_data += ["--perms", "0000", "--ro-bind-data", str(descriptors[-1]), place]
        descriptors.append(in_memory(system_call_filter(platform.machine())))
        by_data += ["--seccomp", str(descriptors[-1])]
        tail = ["--chdir", str(filesystem.WORKSPACE), "--remount-ro", "/"]
        descriptors.append(in_memory(b"".join(a.encode() + b"\0" for a in [*arguments, *by_data, *tail])))
        yield ["--args", str(descriptors[-1])], descriptors


def _exit_code_of_program(code: int) -> int:
    return _SIGNALLED - code if _SIGNALLED < code <= _SIGNALLED + signal.NSIG else code


def _ask_program_to_end(bubblewrap: int) -> None:
    """SIGTERM for the program inside; bubblewrap itself would pass none on."""
    for reaper in children_of(bubblewrap):
        for pid in children_of(reaper):
            if _id_inside(pid) == _FIRST_PROCESS_INSIDE and (identity := identify(pid)) is not None:
                send(identity, signal.SIGTERM)


def _id_inside(pid: int) -> int | None:
    """The id that a process has in the innermost namespace it is in."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")  # it holds a name the program chose
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return None
