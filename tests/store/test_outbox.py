"""The outbox: what was appended is there whatever happens to the process, and is forwarded once by whoever finds it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from cds_service.errors import SettingsError, StoreUnavailable
from cds_service.store import outbox as outbox_module
from cds_service.store.outbox import MOST_REFUSED_BYTES, Outbox

KILLED = """
import os, pathlib, signal, sys
from cds_service.store.outbox import Outbox
outbox = Outbox(pathlib.Path(sys.argv[1]))
for number in range(100):
    outbox.append(b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def forwarded(outbox: Outbox) -> list[bytes]:
    """Forward all that can be, and return it."""
    found: list[bytes] = []
    outbox.forward(found.extend)
    return [record.rstrip(b"\n") for record in found]


def test_records_are_forwarded_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox_module, "MOST_AT_ONCE", 7)
    outbox = Outbox(tmp_path)
    for number in range(50):
        outbox.append(b"%d" % number, durable=number % 20 == 0)
    assert outbox.waiting() == 50
    assert forwarded(outbox) == [b"%d" % number for number in range(50)]
    assert (forwarded(outbox), outbox.waiting(), list(outbox._paths())) == ([], 0, [])


def test_what_a_killed_process_appended_is_forwarded_by_another(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert forwarded(Outbox(tmp_path)) == [b"%d" % number for number in range(100)]


def test_the_file_of_a_process_that_goes_on_is_left_to_it(tmp_path):
    first, second = Outbox(tmp_path), Outbox(tmp_path)
    first.append(b"first")
    second.append(b"second")
    assert forwarded(second) == [b"second"]
    first.append(b"more")
    assert forwarded(first) == [b"first", b"more"]


def test_what_could_not_be_written_stays_and_comes_first_the_next_time(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.append(b"1")

    def fails(_: object) -> None:
        raise StoreUnavailable("in this test")

    for record in (b"2", b"3"):
        with pytest.raises(StoreUnavailable):
            outbox.forward(fails)
        outbox.append(record)
    assert len(outbox._paths()) == 2, "however often the database fails"
    assert forwarded(outbox) == [b"1", b"2", b"3"]


def test_a_file_is_forwarded_by_one_of_those_who_find_it(tmp_path):
    outbox, second, meanwhile = Outbox(tmp_path), Outbox(tmp_path), []
    outbox.append(b"1")
    outbox.release()
    outbox.forward(lambda _: meanwhile.extend(forwarded(second)))
    assert meanwhile == []
    assert outbox.waiting() == 0


def test_appends_while_files_are_forwarded_are_neither_lost_nor_doubled(tmp_path):
    outbox, found, done = Outbox(tmp_path), [], threading.Event()

    def forward() -> None:
        while not done.is_set():
            found.extend(forwarded(outbox))

    forwarding = threading.Thread(target=forward)
    forwarding.start()
    for number in range(2000):
        outbox.append(b"%d" % number)
    done.set()
    forwarding.join(60)
    found += forwarded(outbox)
    assert [int(number) for number in found] == list(range(2000))


def test_a_new_file_that_another_process_takes_for_a_left_one_is_not_used(tmp_path, monkeypatch):
    outbox, answers = Outbox(tmp_path), [False, True, True]
    monkeypatch.setattr(outbox_module, "_locked", lambda _: answers.pop(0))
    outbox.append(b"1")
    assert len(outbox._paths()) == 2
    assert answers == [True]


def test_a_disk_that_takes_half_a_record_has_none_of_it(tmp_path, monkeypatch):
    outbox, write = Outbox(tmp_path), os.write
    outbox.append(b"first")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            outbox.append(b"second")
    outbox.append(b"third")
    assert forwarded(outbox) == [b"first", b"third"]


def test_a_full_outbox_takes_nothing_more(tmp_path):
    outbox = Outbox(tmp_path, most_bytes=10)
    outbox.append(b"12345678")
    with pytest.raises(StoreUnavailable, match="the outbox is full"):
        outbox.append(b"9")
    assert forwarded(outbox) == [b"12345678"]
    outbox.append(b"9")


def test_what_the_database_refused_is_kept_within_bounds(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.set_aside([b"bad\n"])
    outbox.set_aside([b"x" * 1000] * 2000)
    refused = tmp_path / "cds-outbox" / "refused"
    assert refused.read_bytes().startswith(b"bad\nxxx")
    assert MOST_REFUSED_BYTES * 0.99 < refused.stat().st_size <= MOST_REFUSED_BYTES
    assert outbox.waiting() == 0


def test_only_its_owner_may_read_it(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.append(b"1")
    outbox.set_aside([b"2"])
    folder = tmp_path / "cds-outbox"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    with pytest.raises(SettingsError, match="CDS_DATA_FOLDER: cds-outbox can neither be written nor made there"):
        Outbox(tmp_path / "nowhere")
    outbox = Outbox(tmp_path)
    (tmp_path / "cds-outbox").rmdir()
    with pytest.raises(StoreUnavailable):
        outbox.append(b"1")
    assert (outbox.waiting(), forwarded(outbox)) == (0, [])
