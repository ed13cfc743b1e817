"""Words for what is not there: a placeholder that a text asks for without ground stays empty, and nothing fails."""

from __future__ import annotations

from types import SimpleNamespace

from hooks.dry_needling import words


def test_a_place_without_a_problem_has_no_words():
    assert words._place(None) == ""


def test_when_everything_could_be_read_nothing_is_named():
    chart = SimpleNamespace(unreadable=(), lost=())
    answers = SimpleNamespace(findings=SimpleNamespace(chart=chart), entries=SimpleNamespace(doubtful=()))
    assert words._unread(answers) == ""
