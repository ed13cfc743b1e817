"""The report's figures, counted by hand; its forms; the work it takes; what is exported and removed."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import event, func, select

from cds_service.cli import commands
from cds_service.errors import RemovalRefused
from cds_service.store import export, report_text, retention
from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.records import FeedbackRecord
from cds_service.store.report import Group, report
from cds_service.store.tables import IN_ORDER
from cds_service.store.writing import write
from tests.cases import TODAY
from tests.store.filling import FIRST, fill
from tests.waiting import wait_for
from tests.work import lines_run

ALL = Period()


@pytest.fixture
def filled(database):
    """Sixty calls: each of the ten rules six times, over twelve weeks."""
    fill(database, 60)
    with database.writing() as connection:
        stray = FeedbackRecord("dry-needling-order-select", "0" * 36, "overridden", FIRST)
        write(connection, stray.rows(FIRST))
    return database


def test_calls_orders_and_cards_are_counted(filled):
    found = report(filled, ALL)
    assert (found.calls, found.orders) == (60, 48)
    assert found.total == Group("all", cards=45, accepted=15, overridden=15, repeats=3)
    assert found.total.no_response == 15
    assert found.cards_per_100_orders == pytest.approx(100 * 45 / 48)
    assert found.cards_per_1000_calls == pytest.approx(750)
    assert found.unmatched == 1


def test_durations_are_exact_to_a_tenth_of_a_millisecond(filled):
    """1.0, 1.1, ... 6.9 ms."""
    found = report(filled, ALL)
    assert (found.median_milliseconds, found.p95_milliseconds) == (3.9, 6.6)


def test_groups_add_up_to_the_whole(filled):
    found = report(filled, ALL)
    assert [group.name for group in found.by_rule] == [
        f"dry-needling/{rule}" for rule in ("R1", "R4", "R5", "R7", "R8")
    ]
    assert [group.cards for group in found.by_rule] == [9, 6, 6, 18, 6]
    assert [group.repeats for group in found.by_rule] == [3, 0, 0, 0, 0]
    assert [group.name for group in found.by_client] == ["(no token asked for)", "https://ehr.example.org"]
    assert [group.name for group in found.by_hook] == ["order-select", "order-sign"]
    for groups in (found.by_rule, found.by_hook, found.by_service, found.by_client, found.weeks):
        assert sum(group.cards for group in groups) == 45
        assert sum(group.accepted for group in groups) == 15
    assert len(found.weeks) == 12
    assert found.weeks[0].name == "2026-08-31"
    assert dict(found.calls_by_week) == {group.name: 5 for group in found.weeks}


def test_override_reasons_are_ranked(filled):
    reasons = report(filled, ALL).reasons
    assert reasons == (("prefers-alternative", 8), ("(no code given)", 4), ("risk-benefit-ratio", 4))


def test_a_card_that_was_overridden_and_then_accepted_is_accepted(database):
    fill(database, 3)
    card, *_ = export.feedback_entries(database, ALL)
    with database.writing() as connection:
        again = FeedbackRecord("s", card["card"], "overridden", FIRST)
        write(connection, again.rows(FIRST))
    assert report(database, ALL).total == Group("all", 3, 1, 1, 0)


@pytest.mark.parametrize(
    ("period", "calls"),
    [
        (Period(first=date(2026, 11, 16)), 5),
        (Period(last=date(2026, 9, 6)), 5),
        (Period(date(2026, 9, 7), date(2026, 9, 13)), 5),
        (Period(service="dry-needling-order-sign"), 15),
        (Period(first=date(2030, 1, 1)), 0),
        (Period(last=date.max), 60),
    ],
)
def test_a_period_and_a_service_can_be_chosen(period, calls, filled):
    assert report(filled, period).calls == calls


def test_no_calls_no_figures(database):
    found = report(database, ALL)
    assert (found.cards_per_100_orders, found.cards_per_1000_calls, found.median_milliseconds) == (None, None, None)
    assert "Cards per 1,000 calls                       -" in report_text.as_table(found)


def test_ten_times_the_calls_cost_a_report_no_more_than_ten_times_the_work(tmp_path):
    """Lines of Python and steps of SQLite's virtual machine are counted; nothing is fetched for each call."""
    lines, steps = [], []
    for number in (2000, 20_000):
        database = Database(f"sqlite:///{tmp_path}/{number}.sqlite3")
        fill(database, number)
        assert report(database, ALL).total.cards == number * 3 // 4
        counted = []
        event.listen(
            database._engine, "connect", lambda made, _, c=counted: made.set_progress_handler(lambda: c.append(1), 1000)
        )
        lines.append(lines_run(lambda: report(database, ALL)))  # noqa: B023 - run at once
        steps.append(len(counted))
        database.close()
    assert 0 < steps[1] < 12 * steps[0]
    assert lines[1] < 2 * lines[0]


def run(database_url, *arguments):
    environ = {"CDS_DATABASE_URL": database_url}
    result = CliRunner().invoke(commands.main, list(arguments), env=environ)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_a_table_csv_and_json_that_agree(filled, database_url):
    table = run(database_url, "report")
    assert "Report: all days (UTC), all services" in table
    assert "  Cards shown                                45" in table
    assert "dry-needling/R1 9 3 (33 %) 3 (33 %) 3 (33 %) 3" in " ".join(table.split())
    assert "  prefers-alternative        8" in table
    rows = list(csv.DictReader(io.StringIO(run(database_url, "report", "--csv"))))
    assert rows[0] == {
        "grouping": "all", "name": "all", "cards": "45", "accepted": "15", "overridden": "15", "no_response": "15",
        "repeats_withheld": "3",
    }  # fmt: skip
    document = json.loads(run(database_url, "report", "--json"))
    by_rule = {row["name"]: int(row["cards"]) for row in rows if row["grouping"] == "rule"}
    assert by_rule == {group["name"]: group["cards"] for group in document["by_rule"]}
    assert document["reasons"]["prefers-alternative"] == 8
    assert document["period"] == {"first": None, "last": None, "service": None}
    chosen = json.loads(run(database_url, "report", "--json", "--from", "2026-09-07", "--until", "2026-09-13"))
    assert chosen["calls"] == 5
    assert chosen["period"]["first"] == "2026-09-07"


def test_the_command_writes_a_page_that_needs_nothing_else(filled, database_url, tmp_path):
    path = tmp_path / "report.html"
    assert run(database_url, "report", "--html", str(path)) == f"Written: {path}\n"
    text = path.read_text(encoding="utf-8")
    assert "Chart.js v4.6.1" in text
    assert "src=" not in text.split("<body>")[1]
    assert text.count("<link") == text.count('<link rel="icon" href="data:,">') == 1
    assert ">dry-needling/R1</th>" in text


def test_feedback_is_exported_with_the_card_it_is_about(filled, database_url):
    entries = [json.loads(line) for line in run(database_url, "export").splitlines()]
    assert len(entries) == 31
    assert sum(not entry["matched"] for entry in entries) == 1
    accepted = next(entry for entry in entries if entry["outcome"] == "accepted")
    assert accepted["acceptedSuggestions"][0]["name"] == "remove-order"
    assert (accepted["rule"], accepted["orderCodes"], accepted["knowledgeVersion"]) == (
        "dry-needling/R7",
        ["20560"],
        "1.0.0+x",
    )
    assert {"hook", "client", "indicator", "received", "service", "outcomeTimestamp"} <= accepted.keys()
    assert "patient" not in accepted
    chosen = run(database_url, "export", "--service", "dry-needling-order-sign", "--from", "2026-09-07")
    assert 0 < len(chosen.splitlines()) < 15


def test_entries_that_accept_more_suggestions_than_a_statement_takes_values_are_exported(database):
    accepted = [tuple(str(UUID(int=1000 * entry + number)) for number in range(70)) for entry in range(1000)]
    fill(database, 5)
    with database.writing() as connection:
        for entry, names in enumerate(accepted):
            record = FeedbackRecord("s", str(UUID(int=entry)), "accepted", FIRST, names)
            write(connection, record.rows(FIRST))
    exported = list(export.feedback_entries(database, Period(service="s")))
    assert sum(len(entry["acceptedSuggestions"]) for entry in exported) == 70_000


def test_what_is_older_is_removed_with_all_that_belongs_to_it(filled):
    removed = retention.purge(filled, TODAY, timedelta(days=50))
    assert removed["calls"] == 24
    found = report(filled, ALL)
    assert (found.calls, found.unmatched) == (36, 0)
    assert retention.purge(filled, FIRST - timedelta(days=1), timedelta(0))["calls"] == 0
    assert retention.purge(filled, TODAY, timedelta(0), even_most=True)["calls"] == 36
    with filled.reading() as connection:
        left = [connection.scalar(select(func.count()).select_from(table)) for table in IN_ORDER]
    assert left == [0, 0, 0, 1], "the newest record of all is feedback"


@pytest.mark.parametrize("years", [-1000, -1, 1, 10, 1000])
def test_a_wrong_clock_removes_nothing_that_a_right_one_would_not(years, filled):
    """Age is counted from the newest record."""
    wrong = TODAY + timedelta(days=365.25 * years)
    assert retention.purge(filled, wrong, timedelta(days=60))["calls"] == (17 if years > 0 else 0)
    assert report(filled, ALL).calls == (43 if years > 0 else 60)


def test_a_wrong_clock_that_recorded_calls_does_not_remove_most(filled):
    """They would be the newest records."""
    later = TODAY + timedelta(days=3650)
    with filled.writing() as connection:
        write(connection, FeedbackRecord("s", "0" * 36, "overridden", later).rows(later))
    with pytest.raises(RemovalRefused, match="60 of 60 calls would be deleted"):
        retention.purge(filled, later + timedelta(days=1), timedelta(days=42))
    assert report(filled, ALL).calls == 60
    assert retention.purge(filled, TODAY, timedelta(days=60))["calls"] == 17, "with the right time again"


def test_nothing_is_removed_from_an_empty_database(database):
    assert set(retention.purge(database, TODAY, timedelta(0)).values()) == {0}


def test_the_purge_command(filled, database_url):
    assert run(database_url, "purge", "--older-than", "20000d") == (
        "Deleted: 0 suggestions, 0 cards, 0 calls, 0 feedback\n"
    )
    refused = CliRunner().invoke(commands.main, ["purge", "--older-than", "1d"], env={"CDS_DATABASE_URL": database_url})
    assert refused.exit_code == 1
    assert refused.output.startswith("Nothing was deleted: 59 of 60 calls would be deleted. If the clock is right")
    assert "59 calls" in run(database_url, "purge", "--older-than", "1d", "--even-most")
    wrong = CliRunner().invoke(commands.main, ["purge", "--older-than", "tomorrow"])
    assert wrong.exit_code == 2
    assert "must be a number of days, such as 400d" in wrong.output


def test_old_records_are_removed_daily_where_the_site_says_so_and_that_is_logged(filled, make_app, capfd):
    app = make_app(keep_days=50, log_level="info")
    app.extensions["store"].recorder.start()
    wait_for(lambda: report(filled, ALL).calls <= 36)
    wait_for(lambda: '"calls": 24' in capfd.readouterr().err)


def test_what_is_not_removed_because_it_would_be_most_is_logged_and_counted(filled, make_app, capfd):
    app = make_app(keep_days=1)
    app.extensions["store"].recorder.start()
    wait_for(lambda: "59 of 60 calls would be deleted" in capfd.readouterr().err)
    assert report(filled, ALL).calls == 60
    assert 'cds_store_failures_total{operation="purge"} 1.0' in app.test_client().get("/metrics").text


@pytest.mark.parametrize("command", [["report"], ["export"], ["purge", "--older-than", "1d"]])
def test_a_database_that_does_not_answer_is_told(command):
    result = CliRunner().invoke(commands.main, command, env={"CDS_DATABASE_URL": "sqlite:////nowhere/cds.sqlite3"})
    assert (result.exit_code, result.output) == (
        1,
        "The database does not answer (OperationalError). Check CDS_DATABASE_URL, or try again later.\n",
    )
    result = CliRunner().invoke(commands.main, command, env={"CDS_DATABASE_URL": "nonsense"})
    assert result.exit_code == 3


def test_the_page_shows_the_figures_and_takes_a_period(filled, make_app):
    client = make_app().test_client()
    text = client.get("/report").text
    assert "<dd>45</dd>" in text
    assert "15 (33 %)" in text
    text = client.get("/report?from=2026-09-07&until=2026-09-13&service=dry-needling-order-sign").text
    assert 'value="2026-09-07"' in text
    assert "2026-09-07 to 2026-09-13 (UTC), dry-needling-order-sign" in text
    assert "No calls in this period" in client.get("/report?from=2030-01-01").text


@pytest.mark.parametrize(("query", "field"), [("from=yesterday", "from"), ("service=nobody", "service")])
def test_a_query_that_is_wrong_is_told(query, field, make_app):
    refused = make_app().test_client().get(f"/report?{query}")
    assert (refused.status_code, refused.json["issue"][0]["expression"]) == (400, [field])


def test_the_page_says_when_the_database_does_not_answer(make_app):
    assert make_app(database_url="sqlite:////nowhere/cds.sqlite3").test_client().get("/report").status_code == 503


@pytest.mark.parametrize("page", ["report", "metrics"])
def test_who_may_read_pages(page, make_app):
    """On where only this machine can reach the service; otherwise as the site says; never under a foreign name."""
    exposed = {"host": "0.0.0.0", "jwt": "off", "public_url": "https://cds.example.org"}
    assert make_app().test_client().get(f"/{page}").status_code == 200
    assert make_app().test_client().get(f"/{page}", headers={"Host": "rebound.example.org"}).status_code == 403
    assert make_app(**{page: "off"}).test_client().get(f"/{page}").status_code == 404
    assert make_app(**exposed).test_client().get(f"/{page}").status_code == 404
    assert make_app(public_url="https://cds.example.org").test_client().get(f"/{page}").status_code == 404
    assert make_app(**exposed, **{page: "on"}).test_client().get(f"/{page}").status_code == 200
