"""The memory of used tokens: each is new once, in all threads and processes of the host together."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cds_service.auth.replay import ReplayMemory
from tests.service.tokens import NOW, Clock

ISS = "https://ehr.example.org"

FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of threads in the parent

# Shows the same tokens as its siblings, all at the same moment, and says which were new to it
SHOW = """
import sys
from pathlib import Path
from cds_service.auth.replay import ReplayMemory

memory = ReplayMemory(Path(sys.argv[1]), lambda: 1_800_000_000)
print("ready", flush=True)
sys.stdin.readline()
print(*[n for n in range(200) if memory.is_new("iss", str(n), 1_800_000_300)])
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the place of a file that is not there yet."""
    return tmp_path / "replay.sqlite3"


def test_a_token_is_new_once(file: Path) -> None:
    memory = ReplayMemory(file, Clock())

    assert memory.is_new(ISS, "1", NOW + 60)
    assert not memory.is_new(ISS, "1", NOW + 60)
    assert not memory.is_new(ISS, "1", NOW + 999), "another end makes it no other token"
    assert memory.is_new(ISS, "2", NOW + 60)
    assert memory.is_new("https://other.example.org", "1", NOW + 60)


def test_issuer_and_jti_do_not_run_into_each_other(file: Path) -> None:
    memory = ReplayMemory(file, Clock())

    assert memory.is_new("ab", "c", NOW + 60)
    assert memory.is_new("a", "bc", NOW + 60)
    assert memory.is_new("", "abc", NOW + 60)
    assert memory.is_new("1:a", "bc", NOW + 60)


def test_a_token_is_forgotten_after_its_end(file: Path) -> None:
    clock = Clock()
    memory = ReplayMemory(file, clock)
    assert memory.is_new(ISS, "1", NOW + 60)

    clock.time = NOW + 60
    assert not memory.is_new(ISS, "1", NOW + 120)
    clock.time = NOW + 61
    assert memory.is_new(ISS, "1", NOW + 120)
    assert not memory.is_new(ISS, "1", NOW + 120)


def test_a_restart_forgets_nothing(file: Path) -> None:
    assert ReplayMemory(file, Clock()).is_new(ISS, "1", NOW + 60)

    assert not ReplayMemory(file, Clock()).is_new(ISS, "1", NOW + 60)


def test_the_file_does_not_grow_for_ever_and_holds_hashes_alone(file: Path) -> None:
    clock = Clock()
    memory = ReplayMemory(file, clock)
    for number in range(1_000):
        clock.time += 1
        assert memory.is_new(ISS, f"jti-{number}", clock.time + 100)

    rows = sqlite3.connect(file)
    try:
        kept = [bytes(row[0]) for row in rows.execute("SELECT id FROM used")]
    finally:
        rows.close()
    assert 100 <= len(kept) <= 100 + 61
    assert {len(key) for key in kept} == {32}
    written = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert b"jti-" not in written
    assert b"ehr.example" not in written


def test_of_many_threads_one_finds_the_token_new(file: Path) -> None:
    memory = ReplayMemory(file, Clock())
    start = threading.Barrier(8)

    def show(_: int) -> list[bool]:
        start.wait(10)
        return [memory.is_new(ISS, str(number), NOW + 60) for number in range(50)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(show, range(8)))
    assert [sum(column) for column in zip(*found, strict=True)] == [1] * 50


def test_of_many_processes_one_finds_the_token_new(file: Path) -> None:
    workers = [
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", SHOW, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=60) for worker in workers]

    assert [said for _, said in answers] == [""] * 3, "no process had to do without the file"
    assert sorted(int(number) for found, _ in answers for number in found.split()) == list(range(200))


def in_a_child(claim: Callable[[], bool]) -> bool:
    """Fork, and say whether a claim is true in the child."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)  # a child that waits for ever is ended
            status = 0 if claim() else 1
        finally:
            os._exit(status)  # no test of the parent may go on in the child
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@FORKS
@pytest.mark.parametrize("is_in_use", [False, True], ids=["before first use", "in use"])
def test_a_memory_made_before_a_fork_is_shared_after_it(file: Path, is_in_use: bool) -> None:
    memory = ReplayMemory(file, Clock())
    if is_in_use:
        assert memory.is_new(ISS, "parent", NOW + 60)

    assert in_a_child(
        lambda: memory.is_new(ISS, "child", NOW + 60) and memory.is_new(ISS, "parent", NOW + 60) != is_in_use
    )

    assert not memory.is_new(ISS, "child", NOW + 60)
    assert not memory.is_new(ISS, "parent", NOW + 60)


@FORKS
def test_a_child_does_not_wait_for_a_lock_that_was_taken_when_it_was_forked(file: Path) -> None:
    taken, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def clock() -> float:
        if os.getpid() == parent and threading.current_thread() is not threading.main_thread():
            taken.set()
            go_on.wait(10)
        return NOW

    memory = ReplayMemory(file, clock)
    thread = threading.Thread(target=lambda: memory.is_new(ISS, "slow", NOW + 60))
    thread.start()
    assert taken.wait(10)
    try:
        assert in_a_child(lambda: memory.is_new(ISS, "child", NOW + 60))
    finally:
        go_on.set()
        thread.join(10)


# --- when the file cannot be used


def make_folder(file: Path) -> None:
    """Put a folder where the file should be."""
    file.mkdir()


def make_garbage(file: Path) -> None:
    """Put something else where the file should be."""
    file.write_bytes(b"this is no database, and longer than the head of one would be. " * 40)


def remove_folder(file: Path) -> None:
    """Take the folder of the file away."""
    file.parent.rmdir()


@pytest.mark.parametrize("spoil", [make_folder, make_garbage, remove_folder], ids=lambda spoil: spoil.__name__)
def test_without_the_file_each_process_remembers_on_its_own_and_says_so(
    file: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(file)
    clock = Clock()
    memory = ReplayMemory(file, clock)

    with capture_logs() as logs:
        for _ in range(50):
            clock.time += 1
            assert memory.is_new(ISS, f"{clock.time}", NOW + 300)
            assert not memory.is_new(ISS, f"{clock.time}", NOW + 300)
    assert [line["event"] for line in logs] == ["security: used tokens are remembered in one process alone"]
    assert logs[0]["log_level"] == "warning"
    assert set(logs[0]) == {"event", "log_level", "fault"}


def test_without_the_file_the_memory_does_not_grow_for_ever(file: Path) -> None:
    make_folder(file)
    clock = Clock()
    memory = ReplayMemory(file, clock)
    for number in range(1_000):
        clock.time += 1
        memory.is_new(ISS, str(number), clock.time + 100)

    (own,) = memory._by_process.values()
    assert len(own._without_file) <= 100 + 61


def test_a_locked_file_costs_one_wait_and_is_used_again_later(file: Path) -> None:
    clock = Clock()
    memory = ReplayMemory(file, clock)
    assert memory.is_new(ISS, "before", NOW + 300)
    locker = sqlite3.connect(file, isolation_level=None)
    try:
        locker.execute("BEGIN IMMEDIATE")
        with capture_logs() as logs:
            assert memory.is_new(ISS, "locked", NOW + 300)
            assert not memory.is_new(ISS, "locked", NOW + 300)
        assert [line["fault"] for line in logs] == ["OperationalError"]
        locker.execute("COMMIT")
    finally:
        locker.close()

    assert memory.is_new(ISS, "soon", NOW + 300)
    assert ReplayMemory(file, clock).is_new(ISS, "soon", NOW + 300), "for some seconds the file is left alone"
    clock.time += 5
    assert not memory.is_new(ISS, "before", NOW + 300)
    assert not memory.is_new(ISS, "locked", NOW + 300), "what was remembered without the file still counts"
    assert memory.is_new(ISS, "after", NOW + 300)
    assert not ReplayMemory(file, clock).is_new(ISS, "after", NOW + 300), "the file is in use again"


def test_a_full_disk_is_no_reason_to_refuse_anybody(file: Path) -> None:
    clock = Clock()
    memory = ReplayMemory(file, clock)
    assert memory.is_new(ISS, "before", NOW + 300)
    (own,) = memory._by_process.values()
    assert own._connection is not None
    pages = own._connection.execute("PRAGMA page_count").fetchone()[0]
    own._connection.execute(f"PRAGMA max_page_count = {pages}")

    with capture_logs() as logs:
        assert all(memory.is_new(ISS, str(number), NOW + 300) for number in range(500))
    assert [line["fault"] for line in logs] == ["OperationalError"]
    assert not any(memory.is_new(ISS, str(number), NOW + 300) for number in range(490, 500))
