"""What stands in the place of each mutated function: calls the original, or the one mutant that is active.

mutmut's own looks the mutant up in the environment at every call, which takes longer than most functions here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

MutantDict = dict[str, Callable[..., Any]]
_ORIGINAL, _ACTIVE = "_mutmut_orig", "active"
_known: list[tuple[str, MutantDict]] = []
_hits: set[int] = set()


def wrap_in_trampoline(mutants: MutantDict, is_classmethod: bool = False) -> Callable[..., Any]:
    """Return a decorator for a function whose mutants will be put into a dictionary."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        number = len(_known)
        _known.append((function.__module__, mutants))

        @wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            _hits.add(number)
            target = mutants.get(_ACTIVE) or mutants[_ORIGINAL]
            return getattr(args[0], target.__name__)(*args[1:], **named) if is_classmethod else target(*args, **named)

        return call

    return decorate


def activate(mutant: str) -> None:
    """Make a mutant the one that is called in this process."""
    module, _, name = mutant.rpartition(".")
    for of, mutants in _known:
        if of == module and name in mutants:
            mutants[_ACTIVE] = mutants[name]
            return
    raise LookupError(mutant)


def called() -> set[str]:
    """Return the functions that were called since this was asked, by the names that mutants of them begin with."""
    found = set()
    for number in _hits:
        module, mutants = _known[number]
        found |= {f"{module}.{name.partition('__mutmut_')[0]}" for name in mutants if name != _ORIGINAL}
    _hits.clear()
    return found
