"""A plugin of pytest: says which tests run which functions, then forks for each mutant and runs those until one fails.

Nothing runs in the session's own process, so that no mutant meets what an earlier run has remembered.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.mutation import trampoline

FOLDER = Path(os.environ["MUTANTS"])
CPU_SECONDS = 20
"""What the tests of one mutant may take beyond ten times what they took without it."""

ROUNDS = (1.5, 20.0)
"""Seconds of tests for one mutant: first those that run little else, then, where it lived, those that run most."""

WALL_SECONDS = 600


class Watch:
    """Hears whether a test failed."""

    failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hear of one."""
        self.failed |= report.failed


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests once, then for each mutant those that touch it."""
    watch = Watch()
    session.config.pluginmanager.register(watch)
    stats = FOLDER / "stats.json"
    known = (
        json.loads(stats.read_text(encoding="utf-8")) if stats.exists() else {"tests": {}, "seconds": {}, "failed": []}
    )
    new = [item for item in session.items if item.nodeid not in known["seconds"] and item.nodeid not in known["failed"]]
    in_child(partial(learn, new, watch, known, stats), 7200)
    known = json.loads(stats.read_text(encoding="utf-8"))
    by_id = {item.nodeid: item for item in session.items}
    weight: dict[str, int] = defaultdict(int)
    for nodes in known["tests"].values():
        for node in nodes:
            weight[node] += 1
    results, survivors = FOLDER / "results.ndjson", FOLDER / "survivors.txt"
    done = {json.loads(line)["mutant"] for line in lines(results)}
    tried = [one for one in dict.fromkeys(lines(survivors)) if one not in done]
    left = [one for one in json.loads((FOLDER / "chosen.json").read_text(encoding="utf-8")) if one not in done]
    Random(len(left)).shuffle(left)  # so that what is there when somebody looks stands for all
    for mutants, budget, is_last in (
        ([one for one in left if one not in tried], ROUNDS[0], False),
        (None, ROUNDS[1], True),
    ):
        for mutant in tried if mutants is None else mutants:
            began = time.monotonic()
            nodes = [node for node in known["tests"].get(function(mutant), []) if node in by_id]
            nodes.sort(key=lambda node: weight[node], reverse=is_last)
            nodes = within(nodes, known["seconds"], budget)
            outcome = "untested"
            if nodes:
                limit = 10 * sum(known["seconds"][node] for node in nodes) + CPU_SECONDS
                outcome = in_child(partial(attack, mutant, [by_id[node] for node in nodes], watch), limit)
            if outcome == "lived" and not is_last:
                tried.append(mutant)
                note(survivors, mutant)
            else:
                said = {"mutant": mutant, "outcome": outcome, "tests": len(nodes), "seconds": time.monotonic() - began}
                note(results, json.dumps(said))
    return True


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not be there."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def note(path: Path, line: str) -> None:
    """Add a line to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def function(mutant: str) -> str:
    """Return the name under which a mutant's function is recorded."""
    return mutant.partition("__mutmut_")[0]


def within(nodes: list[str], seconds: dict[str, float], budget: float) -> list[str]:
    """Return tests of a function, those that run little else first, as many as the time for one mutant allows."""
    taken, used = [], 0.0
    for node in nodes:
        used += seconds[node]
        if taken and used > budget:
            break
        taken.append(node)
    return taken


def in_child(work: Any, cpu_seconds: float) -> str:
    """Do something in a process of its own; return killed, lived or out-of-time."""
    child = os.fork()
    if not child:
        signal.alarm(int(cpu_seconds) + WALL_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1, int(cpu_seconds) + 2))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        code = 1
        try:
            code = int(bool(work()))
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "out-of-time"
    return "killed" if os.WEXITSTATUS(status) else "lived"


def learn(items: list[pytest.Item], watch: Watch, known: dict[str, Any], stats: Path) -> None:
    """Run tests, and add to what is known which functions each runs and how long; one that fails is left out."""
    for item, following in pairs(items):
        trampoline.called()
        watch.failed = False
        began = time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.failed:
            known["failed"].append(item.nodeid)
            continue
        known["seconds"][item.nodeid] = time.process_time() - began
        for name in trampoline.called():
            known["tests"].setdefault(name, []).append(item.nodeid)
    stats.write_text(json.dumps(known), encoding="utf-8")


def attack(mutant: str, items: list[pytest.Item], watch: Watch) -> bool:
    """Run tests on a mutant; return whether one of them fails."""
    trampoline.activate(mutant)
    watch.failed = False
    for item, following in pairs(items):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.failed:
            return True
    return False


def pairs(items: list[pytest.Item]) -> Any:
    """Return tests, each with the next one."""
    return zip(items, [*items[1:], None], strict=True)
