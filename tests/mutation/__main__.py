"""make mutants: how many small changes of the code are noticed by the fast tests, by room, and which are not.

    python -m tests.mutation [--sample N] [--seed S] [--only TEXT] [--resume] [ROOM ...]

mutmut makes the mutants, all in one tree of their own, and says which functions a test runs. Which of them die is
found by tests/mutation/session.py in one session of pytest: it collects once, and forks for each mutant.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mutmut.mutation.file_mutation import Mutation, combine_mutations_to_source, create_mutations
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".mutants"
ROOMS = {
    "table": "cds_service/guideline/table.py",
    "workbench": "cds_service/guideline/*.py",
    "hooks": "hooks/**/*.py",
    "fhir": "cds_service/fhir/*.py",
    "trust": "cds_service/trust/*.py",
}
_THEIRS, _OURS = "from mutmut.mutation.trampoline import", "from tests.mutation.trampoline import"
TESTS = ("tests/unit", "tests/service")
SLOW = (  # take half of the time together, and are about other rooms
    "tests/unit/test_architecture.py",  # reads the code, and would find the mutants in it
    "tests/unit/test_difference.py",
    "tests/service/test_absent_elements.py",
    "tests/service/test_chart_properties.py",
)
SESSION = ["-q", "-m", "not postgresql", "-p", "tests.mutation.session", "-p", "no:warnings", *TESTS]


def main() -> int:
    """Make mutants, run the tests that touch each, and print what lived; return an exit code."""
    asked = argparse.ArgumentParser(prog="make mutants", description="How many mutants do the fast tests kill?")
    asked.add_argument("--sample", type=int, default=0, help="so many mutants of each room; 0: all, for hours")
    asked.add_argument("--seed", type=int, default=17)
    asked.add_argument("--only", default="", help="only mutants of files with this in their name")
    asked.add_argument("--resume", action="store_true", help="go on with the mutants of a run that was ended")
    asked.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    told = asked.parse_args()
    tree = RESULTS / "tree"
    if not told.resume:
        shutil.rmtree(RESULTS, ignore_errors=True)
        copy(tree)
        chosen = dict(choose(tree, told.rooms or list(ROOMS), told))
        (RESULTS / "chosen.json").write_text(json.dumps(chosen), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="cds-mutants-") as folder, (RESULTS / "session.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "pytest", *SESSION, *(f"--ignore={path}" for path in SLOW)],
            cwd=tree,
            env={**os.environ, "TMPDIR": folder, "MUTANTS": str(RESULTS), "PYTHONPATH": str(tree)},
            stdout=log,
            stderr=log,
            check=False,
        )
    return report(tree)


def copy(tree: Path) -> None:
    """Copy what git knows, and what it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)


def choose(tree: Path, rooms: list[str], told: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Put mutants into the tree; yield the name of each, with its room."""
    done: set[Path] = set()
    for room in rooms:
        parsed = {}
        found: list[tuple[Path, Mutation]] = []
        for path in sorted(set(tree.glob(ROOMS[room])) - done):
            done.add(path)
            module, mutations, *ignored = create_mutations(str(path), path.read_text(encoding="utf-8"))
            parsed[path] = module, ignored
            in_functions = (one for one in mutations if one.contained_by_top_level_function)
            found += [(path, mutation) for mutation in in_functions if told.only in path.name]
        if told.sample and told.sample < len(found):
            found = Random(f"{told.seed} {room}").sample(found, told.sample)
        for path, (module, ignored) in parsed.items():
            of_file = [mutation for where, mutation in found if where == path]
            mutated = combine_mutations_to_source(module, of_file, *ignored)
            path.write_text(mutated.code.replace(_THEIRS, _OURS), encoding="utf-8")
            yield from ((get_mutant_name(path.relative_to(tree), name), room) for name in mutated.mutant_names)


def report(tree: Path) -> int:
    """Print the figures of each room, and what lived."""
    chosen = json.loads((RESULTS / "chosen.json").read_text(encoding="utf-8"))
    found = [json.loads(line) for line in (RESULTS / "results.ndjson").read_text(encoding="utf-8").splitlines()]
    lived = [one for one in found if one["outcome"] in ("lived", "untested")]
    for room in ROOMS:
        of_room = [one for one in found if chosen[one["mutant"]] == room]
        if of_room:
            dead = sum(one not in lived for one in of_room)
            say(f"{room:10} {dead:5} of {len(of_room):5} killed: {100 * dead / len(of_room):.1f} %")
    for one in sorted(lived, key=lambda one: one["mutant"]):
        say(f"\n{one['outcome']}: {one['mutant']}\n{difference(tree, one['mutant'])}")
    return int(len(found) < len(chosen))


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def difference(tree: Path, mutant: str) -> str:
    """Return the lines in which a mutant differs from the code."""
    module, _, name = mutant.rpartition(".")
    path = tree / (module.replace(".", "/") + ".py")
    if not path.is_file():
        path = tree / module.replace(".", "/") / "__init__.py"
    text = path.read_text(encoding="utf-8")
    original, changed = (body(text, name.rpartition("_")[0] + "_orig"), body(text, name))
    removed = [f"  - {line.strip()}" for line in original if line not in changed]
    return "\n".join(removed + [f"  + {line.strip()}" for line in changed if line not in original])


def body(text: str, name: str) -> list[str]:
    """Return the lines of a function of a mutated module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
            return [line.split("  # type: ignore # mutmut")[0].replace(name, "") for line in lines]
    return []


if __name__ == "__main__":
    raise SystemExit(main())
