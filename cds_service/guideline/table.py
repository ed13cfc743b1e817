"""The pure decision core: facts and a decision table in, exactly one decision out.

Imports the standard library only. Facts are closed sets (an enumeration's value or a boolean), so a table can be
checked over every combination. A condition has two constructs, equals and any-of; there is no third.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

FactValue = str | bool
Facts = Mapping[str, FactValue]
FactSpace = Mapping[str, tuple[FactValue, ...]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact and the values that satisfy it."""

    fact: str
    accepted: tuple[FactValue, ...]

    def holds(self, facts: Facts) -> bool:
        """Return whether the fact has one of the accepted values."""
        return facts[self.fact] in self.accepted


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the table (hit policy FIRST: the first rule that applies decides).

    A silent rule yields no card; its texts are empty. `topic` is the stable alphanumeric code of `source.topic`, `next`
    what to do now. A warning becomes information when `info_when` holds.
    """

    id: str
    name: str
    when: tuple[Condition, ...]
    silent: bool = False
    indicator: str = ""
    summary: str = ""
    detail: str = ""
    next: str = ""
    topic: str = ""
    source: str = ""
    evidence: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    info_when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A line on the cards of the named rules when it applies (RULE ORDER: every note that applies is added).

    `part` is its place: `instead` of the rule's detail, `lead` before it, after it in the `verdict`, in `why`, or among
    the `precaution`s, the other `line`s or what was not `seen`.
    """

    id: str
    rules: tuple[str, ...]
    when: tuple[Condition, ...]
    text: str
    evidence: tuple[str, ...] = ()
    part: str = "line"
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The decision table: rules in order of precedence, the last one without conditions, and the notes."""

    rules: tuple[Rule, ...]
    notes: tuple[Note, ...] = ()
    _by_rule: dict[str, tuple[Note, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Group the notes by rule once, because every decision needs those of one rule."""
        by_rule = {rule.id: tuple(note for note in self.notes if rule.id in note.rules) for rule in self.rules}
        object.__setattr__(self, "_by_rule", by_rule)

    def notes_of(self, rule: str) -> tuple[Note, ...]:
        """Return the notes for a rule's card, in the table's order."""
        return self._by_rule[rule]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one order: the rule, its notes, and the names of the facts that were tested."""

    rule: Rule
    notes: tuple[Note, ...]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """Why one rule did or did not decide: `outcome` is `fired`, `not met` or `an earlier rule decided`."""

    rule: Rule
    outcome: Literal["fired", "not met", "an earlier rule decided"]
    unmet: tuple[str, ...] = field(default=())


def holds(conditions: tuple[Condition, ...], facts: Facts) -> bool:
    """Return whether every condition holds; an empty list always does."""
    for condition in conditions:  # noqa: SIM110 - all() over a generator takes three times as long
        if facts[condition.fact] not in condition.accepted:
            return False
    return True


def decide(facts: Facts, table: Table) -> Decision:
    """Return the first rule that applies and all its notes that apply.

    Total for any facts with a value for each fact that the table tests, because the last rule has no conditions.
    """
    rule = next(rule for rule in table.rules if holds(rule.when, facts))
    notes = tuple([note for note in table.notes_of(rule.id) if holds(note.when, facts)])
    return Decision(rule=rule, notes=notes, because=tuple(condition.fact for condition in rule.when))


def trace(facts: Facts, table: Table) -> tuple[RuleTrace, ...]:
    """Explain the decision rule by rule: which one fired, and why each other one did not."""
    fired = decide(facts, table).rule
    steps: list[RuleTrace] = []
    for rule in table.rules:
        unmet = tuple(condition.fact for condition in rule.when if not condition.holds(facts))
        if rule is fired:
            steps.append(RuleTrace(rule, "fired"))
        else:
            steps.append(RuleTrace(rule, "not met" if unmet else "an earlier rule decided", unmet))
    return tuple(steps)


def used_facts(table: Table) -> tuple[str, ...]:
    """Return the names of the facts that the rules test, in order of first use."""
    return tuple(dict.fromkeys(condition.fact for rule in table.rules for condition in rule.when))


def combinations(space: FactSpace, names: tuple[str, ...]) -> Iterator[dict[str, FactValue]]:
    """Yield every combination of values of the named facts, so that a table can be checked over all patients."""
    for values in product(*(space[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def never_reached(table: Table, space: FactSpace) -> tuple[str, ...]:
    """Return the ids of the rules that no combination of facts reaches."""
    without_notes = Table(table.rules)
    missing = {rule.id for rule in table.rules}
    for facts in combinations(space, used_facts(table)):
        missing.discard(decide(facts, without_notes).rule.id)
        if not missing:
            break
    return tuple(rule.id for rule in table.rules if rule.id in missing)
