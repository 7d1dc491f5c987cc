"""What every kind of sandbox promises about the programs started in it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from sandbox_grounds import DRIVERS, Grounds

from airside.errors import TooLarge
from airside.sandboxes.contract import Sandbox, SandboxTimeout, SandboxUnavailable
from airside.sandboxes.leftovers import identify

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


async def output(sandbox: Sandbox, *command: str, environment: dict[str, str] | None = None) -> str:
    process = await sandbox.start(command, environment or {})
    process.stdin.close()
    text = (await process.stdout.read()).decode()
    assert await process.wait() == 0, process.stderr_tail()
    await process.stop()
    return text


@pytest.mark.parametrize("kind", DRIVERS)
def test_both_kinds_work_on_this_machine(kind: str) -> None:
    assert DRIVERS[kind].unavailable_because() is None


@pytest.mark.parametrize("kind", DRIVERS)
async def test_the_worker_s_own_search_path_leads_to_no_other_fence(
    grounds: Grounds, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = grounds.folder / "bin"
    place.mkdir()
    for name in ("bwrap", "setpriv", "prlimit"):
        (place / name).write_text("#!/bin/sh\necho the wrong one >&2\nexit 3\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)
    assert DRIVERS[kind].unavailable_because() is None
    done = await grounds.sandbox(kind).run(["echo", "inside"], timeout_s=20)
    assert done.stdout == b"inside\n"


async def test_a_program_speaks_over_its_pipes_and_its_exit_code_is_told(sandbox: Sandbox) -> None:
    process = await sandbox.start(["sh", "-c", "read line; echo heard $line; echo bad >&2; exit 7"], {})
    process.stdin.write(b"this\n")
    assert await process.stdout.read() == b"heard this\n"
    assert await process.wait() == 7
    assert process.stderr_tail() == "bad\n"
    await process.stop()


async def test_a_death_by_signal_is_told_as_a_negative_code(sandbox: Sandbox) -> None:
    process = await sandbox.start(["sh", "-c", "kill -9 $$"], {})
    assert await process.wait() == -9
    await process.stop()


async def test_the_environment_is_exactly_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS_OWN_SECRET", "hunter2")
    names = {line.split("=")[0] for line in (await output(sandbox, "env", environment={"GIVEN": "1"})).splitlines()}
    assert names - {"PWD", "SHLVL", "_", "AIRSIDE_START"} == {
        *{"PATH", "HOME", "LANG", "TERM"},
        *{"GIVEN", "AIRSIDE_SESSION"},
    }


async def test_it_starts_in_the_workspace_with_a_home_of_its_own(sandbox: Sandbox) -> None:
    assert (await output(sandbox, "sh", "-c", "pwd; echo $HOME")).split() == [
        str(sandbox.workspace),
        str(sandbox.home),
    ]


async def test_no_value_of_the_environment_is_on_a_command_line(sandbox: Sandbox) -> None:
    process = await sandbox.start(["cat"], {"TOKEN": "air_very_secret"})
    process.stdin.write(b"up\n")
    await process.stdout.readline()
    command_lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if identify(int(p.parent.name))]
    assert not [line for line in command_lines if b"air_very_secret" in line]
    await process.stop()


async def test_the_gateway_answers_at_the_address_told(sandbox: Sandbox) -> None:
    assert await output(sandbox, "curl", "-s", f"{sandbox.gateway_url}/healthz") == "ok"


async def test_a_program_gets_to_the_gateway_from_its_first_moment(grounds: Grounds) -> None:
    async def first_call() -> str:
        return await output(grounds.sandbox(), "curl", "-s", "http://127.0.0.1:8080/")

    assert await asyncio.gather(*(first_call() for _ in range(8))) == ["ok"] * 8


async def test_a_port_opened_inside_can_be_reached_from_outside(sandbox: Sandbox) -> None:
    port = sandbox.free_port()
    server = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = await sandbox.start(server, {}, listens_on=port)
    endpoint = sandbox.endpoint(port)
    transport = httpx2.AsyncHTTPTransport(uds=str(endpoint.socket)) if endpoint.socket else None
    async with httpx2.AsyncClient(transport=transport, base_url=endpoint.base_url) as client:
        assert (await first_answer(client)).status_code == 200
    await process.stop()


async def first_answer(client: httpx2.AsyncClient) -> httpx2.Response:
    async with asyncio.timeout(10):
        while True:
            try:
                return await client.get("/")
            except httpx2.TransportError:
                await asyncio.sleep(0.02)


async def test_stop_asks_first_and_the_program_may_tidy_up(sandbox: Sandbox) -> None:
    script = 'trap "echo tidied; exit 0" TERM; echo ready; while :; do read -t 60 _; done'
    process = await sandbox.start(["bash", "-c", script], {})
    assert await process.stdout.readline() == b"ready\n"
    reading = asyncio.ensure_future(process.stdout.read())
    await process.stop(grace_s=10)
    assert await reading == b"tidied\n"
    assert await process.wait() == 0


async def test_stop_kills_what_will_not_end_and_may_be_called_twice(sandbox: Sandbox) -> None:
    process = await sandbox.start(["bash", "-c", 'trap "" TERM; echo ready; while :; do read -t 60 _; done'], {})
    assert await process.stdout.readline() == b"ready\n"
    await process.stop(grace_s=0.1)
    await process.stop(grace_s=0.1)
    assert await process.wait() == -9


async def test_a_program_whose_name_is_no_text_hides_nothing_and_stops_nobody(
    grounds: Grounds, sandbox: Sandbox
) -> None:
    rename = (
        "open('/proc/self/comm', 'wb').write(b') Z \\xff\\xfe('); print('up', flush=True); import time; time.sleep(600)"
    )
    process = await sandbox.start(["python3", "-c", rename], {})
    assert await process.stdout.readline() == b"up\n"
    assert (await sandbox.run(["true"], timeout_s=30)).exit_code == 0
    await process.stop()
    assert not grounds.running()


async def test_all_that_is_started_is_known_by_its_start(grounds: Grounds, sandbox: Sandbox) -> None:
    """`stop` waits for what it can tell by this mark; a fence may be gone while what it fenced in still dies."""
    process = await sandbox.start(["sh", "-c", "sleep 600 & echo up; wait"], {})
    assert await process.stdout.readline() == b"up\n"
    running = grounds.running()
    assert len(running) >= 2
    starts = {re.search(rb"AIRSIDE_START=(\w+)", Path(f"/proc/{pid}/environ").read_bytes()) for pid in running}
    assert len({start and start[1] for start in starts}) == 1
    assert None not in starts
    await process.stop(grace_s=0)
    assert not grounds.running()


async def test_stop_ends_what_the_program_left_in_a_session_of_its_own(
    grounds: Grounds, sandbox: Sandbox, eventually: Eventually
) -> None:
    process = await sandbox.start(["sh", "-c", "setsid sh -c 'echo away; exec sleep 600' & wait"], {})
    assert await process.stdout.readline() == b"away\n"
    await process.stop()
    await eventually(lambda: not grounds.running())


async def test_programs_die_with_the_worker_that_started_them(grounds: Grounds, eventually: Eventually) -> None:
    await worker_is_killed(grounds, "bubblewrap")
    await eventually(lambda: not grounds.running())


async def worker_is_killed(grounds: Grounds, kind: str) -> None:
    """Start a program, which starts another in a session of its own, from a process that is then killed with -9."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", WORKER, str(grounds.folder), str(grounds.port), kind, grounds.session),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}", "PATH": os.defpath},
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"started\n"
    worker.kill()
    await worker.wait()


WORKER = """
import asyncio, sys
from pathlib import Path
from sandbox_grounds import Grounds

async def work():
    sandbox = Grounds(Path(sys.argv[1]), int(sys.argv[2])).sandbox(sys.argv[3], sys.argv[4])
    process = await sandbox.start(["sh", "-c", "setsid sh -c 'echo started; exec sleep 600' & wait"], {})
    print((await process.stdout.readline()).decode(), end="", flush=True)
    await asyncio.Event().wait()

asyncio.run(work())
"""


async def test_leftovers_of_a_dead_worker_are_ended_and_counted(grounds: Grounds) -> None:
    await worker_is_killed(grounds, "process")
    assert grounds.running()
    assert await grounds.sandbox("process").stop_leftovers() >= 1
    assert not grounds.running()
    assert await grounds.sandbox("process").stop_leftovers() == 0


async def test_leftovers_of_one_session_are_ended_and_another_session_lives_on(grounds: Grounds) -> None:
    mine = await grounds.sandbox().start(["cat"], {})
    other = await grounds.sandbox(session=f"{grounds.session}_more").start(["cat"], {})
    assert await grounds.sandbox().stop_leftovers() >= 1
    assert await mine.wait() == -signal.SIGKILL
    other.stdin.write(b"alive\n")
    assert await other.stdout.readline() == b"alive\n"
    await mine.stop()
    await other.stop()


async def test_only_the_end_of_a_long_stderr_is_kept_and_nobody_waits_for_it(sandbox: Sandbox) -> None:
    process = await sandbox.start(["sh", "-c", "head -c 3000000 /dev/zero >&2; echo last >&2; echo done"], {})
    assert await process.stdout.read() == b"done\n"
    assert await process.wait() == 0
    assert process.stderr_tail().endswith("last\n")
    assert len(process.stderr_tail()) <= 64 << 10
    await process.stop()


async def test_run_returns_output_and_exit_code(sandbox: Sandbox) -> None:
    completed = await sandbox.run(["sh", "-c", "cat; echo no >&2; exit 3"], timeout_s=20, stdin=b"x" * 300_000)
    assert (completed.exit_code, completed.stdout, completed.stderr) == (3, b"x" * 300_000, b"no\n")


async def test_run_feeds_a_program_that_does_not_read(sandbox: Sandbox) -> None:
    assert (await sandbox.run(["true"], timeout_s=20, stdin=b"x" * 3_000_000)).exit_code == 0


async def test_run_ends_a_program_that_takes_too_long(grounds: Grounds, sandbox: Sandbox) -> None:
    with pytest.raises(SandboxTimeout):
        await sandbox.run(["sleep", "600"], timeout_s=0.2)
    assert not grounds.running()


@pytest.mark.parametrize("stream", ["1", "2"])
async def test_run_ends_a_program_that_writes_without_end(sandbox: Sandbox, stream: str) -> None:
    with pytest.raises(TooLarge):
        await sandbox.run(["sh", "-c", f"head -c 5000000 /dev/zero >&{stream}"], timeout_s=20, limit_bytes=1_000_000)


async def test_run_has_no_way_to_the_gateway(grounds: Grounds) -> None:
    completed = await grounds.sandbox().run(["curl", "-s", "http://127.0.0.1:8080/"], timeout_s=20)
    assert completed.exit_code == 7


async def test_git_of_a_run_heeds_no_settings_of_home(sandbox: Sandbox) -> None:
    script = """
        printf '[core]\\n fsmonitor = "touch /%s/canary; false"\\n' "$HOME" >"$HOME/.gitconfig"
        git init -q . && git status
    """
    completed = await sandbox.run(["sh", "-c", script], timeout_s=20)
    assert completed.exit_code == 0, completed.stderr
    assert (await sandbox.run(["ls", str(sandbox.home)], timeout_s=20)).stdout == b""


async def test_a_missing_program_is_told_by_its_exit_and_stderr(sandbox: Sandbox) -> None:
    process = await sandbox.start(["no-such-program"], {})
    assert await process.wait() == 127
    assert "no-such-program" in process.stderr_tail()
    await process.stop()


async def test_memory_over_the_limit_is_refused(grounds: Grounds, sandbox: Sandbox) -> None:
    kind = "process" if sandbox.workspace.is_relative_to(grounds.folder) else "bubblewrap"
    small = grounds.sandbox(kind, memory_bytes=64 << 20)
    completed = await small.run(["python3", "-c", "bytearray(200 << 20)"], timeout_s=20)
    assert b"MemoryError" in completed.stderr


async def test_a_program_that_cannot_be_executed_makes_the_sandbox_unavailable(grounds: Grounds) -> None:
    sandbox = grounds.sandbox("process")
    sandbox.workspace.rmdir()
    with pytest.raises(SandboxUnavailable, match=r"cannot start .*/setpriv"):
        await sandbox.start(["true"], {})
