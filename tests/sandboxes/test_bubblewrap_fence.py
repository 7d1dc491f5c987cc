"""What a hostile program tries from inside the bubblewrap sandbox, and how little it gets."""

import asyncio
import json
import os
import platform
import socket
import textwrap
from pathlib import Path

import pytest
from sandbox_grounds import Grounds, say_ok

from airside.sandboxes.contract import Completed, GatewayAddress, SandboxUnavailable

CANARY = "canary-of-the-host"


async def attempt(grounds: Grounds, script: str, session: str | None = None) -> Completed:
    """Run a shell script as the agent would: with the gateway in reach."""
    process = await grounds.sandbox(session=session).start(["bash", "-c", textwrap.dedent(script)], {"TOKEN": "mine"})
    process.stdin.close()
    stdout = await process.stdout.read()
    completed = Completed(await process.wait(), stdout, process.stderr_tail().encode())
    await process.stop()
    return completed


async def attempt_in_python(grounds: Grounds, script: str) -> dict[str, object]:
    """Run a Python script inside; what it puts into `seen` comes back."""
    whole = f"import json, os, socket, ctypes\nseen = {{}}\n{textwrap.dedent(script)}\nprint(json.dumps(seen))"
    completed = await grounds.sandbox().run(["python3", "-c", whole], timeout_s=20)
    assert completed.exit_code == 0, completed.stderr
    result: dict[str, object] = json.loads(completed.stdout)
    return result


def secret_beside(grounds: Grounds) -> Path:
    """A file of the host, in the folder that holds the sessions: the data directory."""
    place = grounds.folder / "provider-keys"
    place.write_text(CANARY)
    return place


async def test_no_capability_is_left_even_when_the_worker_is_root(grounds: Grounds) -> None:
    status = (
        await attempt(grounds, "id -u; id -g; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status")
    ).stdout.decode()
    assert status.split()[:2] == ["1000", "1000"]
    facts = dict(line.split(":\t") for line in status.splitlines()[2:])
    assert {facts[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


async def test_only_the_named_places_exist_inside(grounds: Grounds) -> None:
    names = (await attempt(grounds, "ls -A / /home /run /run/airside /var")).stdout.decode().split()
    assert not {"root", "srv", "opt", "boot", "media", "sys", "log", "work", "passwd-", "docker.sock"} & set(names)
    assert {"agent", "workspace", "gateway.sock"} <= set(names)


async def test_the_etc_inside_holds_no_secret_and_no_resolver(grounds: Grounds) -> None:
    names = set((await attempt(grounds, "ls -A /etc /etc/ssl; cat /etc/passwd")).stdout.decode().split())
    assert not {"shadow", "resolv.conf", "gitconfig", "pip.conf", "npmrc", "private", "ssh", "sudoers"} & names
    assert "agent:x:1000:1000:agent:/home/agent:/bin/bash" in names


@pytest.mark.parametrize("way", ["cat {}", "cat /workspace/../{}", "ln -s {} out; cat out", "ln {} out; cat out"])
async def test_a_file_of_the_data_directory_cannot_be_read(grounds: Grounds, way: str) -> None:
    completed = await attempt(grounds, way.format(secret_beside(grounds)))
    assert completed.exit_code != 0
    assert CANARY.encode() not in completed.stdout


async def test_a_link_out_of_the_workspace_leads_nowhere(grounds: Grounds) -> None:
    secret = secret_beside(grounds)
    workspace = grounds.paths().workspace
    (workspace / "link").symlink_to(secret)
    (workspace / "up").symlink_to("../../provider-keys")
    completed = await attempt(grounds, "cat link up; echo changed >link")
    assert CANARY.encode() not in completed.stdout
    assert secret.read_text() == CANARY


async def test_a_worktree_pointer_into_the_host_is_no_repository(grounds: Grounds) -> None:
    target = grounds.folder / "victim"
    await (await asyncio.create_subprocess_exec("git", "init", "-q", "--bare", target)).wait()
    (grounds.paths().workspace / ".git").write_text(f"gitdir: {target}\n")
    completed = await attempt(grounds, "git config core.fsmonitor evil")
    assert completed.exit_code != 0
    assert "evil" not in (target / "config").read_text()


async def test_another_session_cannot_be_seen(grounds: Grounds) -> None:
    other = grounds.sandbox(session="sesn_other")
    (grounds.paths("sesn_other").workspace / "plan").write_text(CANARY)
    running = await other.start(["cat"], {"TOKEN": "of-the-other"})
    plan = grounds.folder / "sesn_other" / "workspace" / "plan"
    completed = await attempt(grounds, f"cat {plan}; cat /proc/[0-9]*/environ; ls {grounds.folder}")
    assert b"of-the-other" not in completed.stdout
    assert CANARY.encode() not in completed.stdout
    assert b"sesn_other" not in completed.stdout
    await running.stop()


async def test_no_process_of_the_host_can_be_seen_or_signalled(grounds: Grounds) -> None:
    script = f"kill -0 {os.getpid()}; echo killed:$?; ls -d /proc/[0-9]* | wc -l; readlink /proc/1/exe /proc/1/root"
    out = (await attempt(grounds, script)).stdout.decode().split()
    assert out[0] == "killed:1"
    assert int(out[1]) < 10


async def test_the_first_process_shows_no_file_of_the_host(grounds: Grounds) -> None:
    secret = secret_beside(grounds)
    script = (
        f"cat /proc/1/root{secret}; ls /proc/1/root/oldroot /proc/1/root/newroot /proc/1/cwd/root; cat /proc/1/environ"
    )
    completed = await attempt(grounds, script)
    assert CANARY.encode() not in completed.stdout
    variables = {line.split(b"=")[0] for line in completed.stdout.split(b"\0") if line}
    assert variables == {b"PATH", b"AIRSIDE_SESSION", b"AIRSIDE_START"}


async def test_a_unix_socket_of_the_host_cannot_be_reached(grounds: Grounds, short_folder: Path) -> None:
    by_path = short_folder / "control.sock"
    abstract = f"\0airside-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening_by_path, socket.socket(socket.AF_UNIX) as listening_abstract:
        listening_by_path.bind(str(by_path))
        listening_by_path.listen()
        listening_abstract.bind(abstract)
        listening_abstract.listen()
        seen = await attempt_in_python(
            grounds,
            f"""
            for name in ({str(by_path)!r}, {abstract!r}, "/run/docker.sock", "/run/dbus/system_bus_socket"):
                try:
                    socket.socket(socket.AF_UNIX).connect(name)
                    seen[name] = True
                except OSError:
                    seen[name] = False
            """,
        )
    assert set(seen.values()) == {False}


async def test_there_is_no_network(grounds: Grounds) -> None:
    seen = await attempt_in_python(
        grounds,
        f"""
        def reached(family, kind, address):
            try:
                with socket.socket(family, kind) as s:
                    s.settimeout(2)
                    s.connect(address)
                    s.send(b"x")
                return True
            except OSError:
                return False
        seen["the host's loopback"] = reached(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {grounds.port}))
        seen["an outside address"] = reached(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))
        seen["a datagram"] = reached(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53))
        seen["version six"] = reached(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80))
        seen["the hypervisor"] = reached(socket.AF_VSOCK, socket.SOCK_STREAM, (2, 1024))
        try:
            seen["a name"] = bool(socket.getaddrinfo("example.com", 80))
        except OSError:
            seen["a name"] = False
        seen["interfaces"] = [name for _, name in socket.if_nameindex() if name != "lo"] != []
        """,
    )
    assert not [name for name, reached in seen.items() if reached]


@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_PACKET, 38])  # 38: AF_ALG
async def test_sockets_of_other_families_do_not_exist(grounds: Grounds, family: int) -> None:
    script = f"""
    try:
        socket.socket({int(family)}, socket.SOCK_STREAM)
    except OSError as refused:
        seen["errno"] = refused.errno
    """
    assert await attempt_in_python(grounds, script) == {"errno": 97}


async def test_nothing_can_be_mounted_and_no_namespace_made(grounds: Grounds) -> None:
    commands = [
        "mount -t tmpfs x /tmp",
        "mount --bind /tmp /usr",
        "unshare -Ur true",
        "unshare -m true",
        "chroot / true",
    ]
    for command in commands:
        assert (await attempt(grounds, command)).exit_code != 0, command


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers below are those of x86_64")
async def test_system_calls_with_a_record_are_refused(grounds: Grounds) -> None:
    numbers = {"keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "setns": 308, "userfaultfd": 323}
    script = f"""
    libc = ctypes.CDLL(None, use_errno=True)
    for name, number in {numbers}.items():
        seen[name] = (libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())
    seen["clone"] = (libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0), ctypes.get_errno())
    seen["x32"] = (libc.syscall(0x40000000 + 39), ctypes.get_errno())
    """
    assert {tuple(v) for v in (await attempt_in_python(grounds, script)).values()} == {(-1, 1)}


async def test_nothing_is_typed_into_a_terminal(grounds: Grounds) -> None:
    script = """
    import fcntl, pty, termios
    try:
        fcntl.ioctl(pty.openpty()[1], termios.TIOCSTI, b"x")
    except OSError as refused:
        seen["errno"] = refused.errno
    """
    assert await attempt_in_python(grounds, script) == {"errno": 1}


async def test_threads_and_processes_still_start_under_the_filter(grounds: Grounds) -> None:
    script = """
    import subprocess, threading, tempfile
    thread = threading.Thread(target=lambda: seen.update(thread=True)); thread.start(); thread.join()
    seen["process"] = subprocess.run(["true"]).returncode
    seen["semaphore"] = __import__("multiprocessing").Lock().acquire()
    """
    assert await attempt_in_python(grounds, script) == {"thread": True, "process": 0, "semaphore": True}


async def test_a_set_user_id_program_gives_no_rights(grounds: Grounds) -> None:
    workspace = grounds.paths().workspace
    (workspace / "root-id").write_bytes(Path("/usr/bin/id").read_bytes())
    (workspace / "root-id").chmod(0o4755)
    completed = await attempt(grounds, "./root-id -u; su -c id; passwd -S root; sudo -n id")
    assert completed.stdout.split() == [b"1000"]


async def test_no_device_but_the_harmless_ones_can_be_had(grounds: Grounds) -> None:
    script = "mknod disk b 8 0; mknod /tmp/mem c 1 1; ls /dev; cat /dev/kmsg /dev/mem /proc/kcore | head -c 1"
    out = (await attempt(grounds, script)).stdout.decode().split()
    harmless = {
        "core",
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
    }
    assert set(out) == harmless | {"zero"}


async def test_programs_of_the_machine_are_read_only(grounds: Grounds) -> None:
    program = grounds.folder / "harness"
    program.mkdir()
    (program / "tool").write_text("original")
    sandbox = grounds.sandbox(programs=[program])
    script = (
        f"cat {program}/tool; echo x >{program}/tool; touch /usr/bin/x /x /etc/x /run/airside/x; rm -r /usr/lib/git*"
    )
    completed = await sandbox.run(["sh", "-c", script], timeout_s=20)
    assert completed.stdout == b"original"
    assert completed.stderr.count(b"Read-only file system") >= 5
    assert (program / "tool").read_text() == "original"


async def test_another_program_of_the_session_cannot_be_traced_from_outside_its_sandbox(grounds: Grounds) -> None:
    sandbox = grounds.sandbox()
    harness = await sandbox.start(["cat"], {"TOKEN": "air_session_token"})
    harness.stdin.write(b"up\n")
    await harness.stdout.readline()
    completed = await sandbox.run(["sh", "-c", "cat /proc/[0-9]*/environ"], timeout_s=20)
    assert b"air_session_token" not in completed.stdout
    await harness.stop()


async def test_a_fork_bomb_ends_with_the_program(grounds: Grounds) -> None:
    process = await grounds.sandbox().start(
        ["bash", "-c", "for i in $(seq 200); do sleep 600 & done; echo up; wait"], {}
    )
    assert await process.stdout.readline() == b"up\n"
    await process.stop()
    assert not grounds.running()


async def test_a_restarted_gateway_is_reached_by_a_program_that_was_there_before(grounds: Grounds) -> None:
    script = "while read -r _; do curl -s http://127.0.0.1:8080/ || echo away; echo; done"
    process = await grounds.sandbox().start(["bash", "-c", script], {})

    async def ask() -> bytes:
        process.stdin.write(b"now\n")
        return (await process.stdout.readuntil(b"\n")).strip() or await process.stdout.readline()

    assert await ask() == b"ok"
    grounds.socket.unlink()
    assert await ask() == b"away"
    await process.stdout.readline()
    async with await asyncio.start_unix_server(say_ok, grounds.socket):
        assert await ask() == b"ok"
    await process.stop()


async def test_a_gateway_socket_beside_other_files_is_refused(grounds: Grounds) -> None:
    (grounds.folder / "gateway" / "control.sock").touch()
    with pytest.raises(SandboxUnavailable, match=r"control\.sock") as refused:
        await grounds.sandbox().start(["true"], {})
    assert refused.value.hint == "give the gateway's socket a folder of its own"


async def test_a_gateway_without_a_socket_is_refused(grounds: Grounds) -> None:
    sandbox = grounds.sandbox(gateway=GatewayAddress("http://127.0.0.1:1"))
    with pytest.raises(SandboxUnavailable, match="has none"):
        await sandbox.start(["true"], {})


async def test_a_data_directory_with_a_long_name_still_has_a_way_in(grounds: Grounds) -> None:
    sandbox = grounds.sandbox(session="sesn_" + "long" * 30)
    server = ["python3", "-m", "http.server", "4096", "--bind", "127.0.0.1"]
    process = await sandbox.start(server, {}, listens_on=4096)
    endpoint = sandbox.endpoint(4096)
    assert endpoint.socket is not None
    assert len(str(endpoint.socket)) <= 107
    async with asyncio.timeout(10):
        while not await answers(endpoint.socket):
            await asyncio.sleep(0.02)
    await process.stop()


async def answers(place: Path) -> bool:
    reader, writer = await asyncio.open_unix_connection(place)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    try:
        return (await reader.read()).startswith(b"HTTP/1.0 200")
    except ConnectionError:
        return False
    finally:
        writer.close()


async def test_what_the_agent_writes_is_there_outside_and_belongs_to_the_worker(grounds: Grounds) -> None:
    await attempt(grounds, "echo done >result; echo more >~/note")
    paths = grounds.paths()
    assert (paths.workspace / "result").read_text() == "done\n"
    assert (paths.home / "note").stat().st_uid == os.getuid()


async def test_what_is_concealed_in_the_workspace_cannot_be_read_nor_replaced(grounds: Grounds) -> None:
    workspace = grounds.paths().workspace
    (workspace / ".plugins").mkdir()
    (workspace / ".plugins" / "run.js").write_text(CANARY)
    (workspace / "settings.json").write_text(CANARY)
    script = "cat .plugins/run.js settings.json; echo x >settings.json; mv .plugins other; ls .plugins; touch fine; ls"
    names = [".plugins", "settings.json", "not-there"]
    process = await grounds.sandbox().start(["sh", "-c", script], {}, conceals=names)
    assert (await process.stdout.read()).split() == [b"fine", b"settings.json"]
    await process.stop()
    assert (workspace / "settings.json").read_text() == CANARY
    assert (workspace / ".plugins" / "run.js").read_text() == CANARY


async def test_version_control_stages_no_change_of_what_is_concealed(grounds: Grounds) -> None:
    workspace = grounds.paths().workspace
    (workspace / ".plugins").mkdir()
    (workspace / ".plugins" / "run.js").write_text(CANARY)
    (workspace / "settings.json").write_text(CANARY)
    commit = "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm first"
    assert (await grounds.sandbox().run(["sh", "-c", commit], timeout_s=20)).exit_code == 0
    status = ["sh", "-c", "git status --porcelain; git add -u; git diff --cached --name-only"]
    process = await grounds.sandbox().start(status, {}, conceals=[".plugins", "settings.json"])
    # It may call a file changed that it cannot open; it must not call one deleted, nor stage anything of either.
    assert (await process.stdout.read()).splitlines() == [b" M settings.json"]
    await process.stop()


async def test_a_link_cannot_be_concealed_and_is_refused(grounds: Grounds) -> None:
    (grounds.paths().workspace / ".plugins").symlink_to("elsewhere")
    with pytest.raises(SandboxUnavailable, match=r"\.plugins is a link"):
        await grounds.sandbox().start(["true"], {}, conceals=[".plugins"])
