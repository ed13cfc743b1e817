"""The preview: a clinician's two minutes, from the order to the card to the feedback."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import select

from cds_service.store.database import Database
from cds_service.store.tables import feedback
from tests.cases import FIXTURES
from tests.charts import bundle, condition
from tests.waiting import wait_for

WARNING = "Dry needling: not recommended for chronic low back pain without nerve-root pain"


def begin(page: Page) -> None:
    """Open the preview and state chronic low back pain as the reason, so that nothing is uncertain."""
    page.goto("/")
    expect(heading(page)).to_be_visible()
    page.locator("#reason").select_option(label="Chronic low back pain")


def heading(page: Page):
    return page.locator("#cards h3").first


def sent(page: Page) -> dict:
    """Return the feedback that the page says it sent."""
    expect(page.locator("#feedback pre")).to_contain_text("200: kept")
    text = page.locator("#feedback pre").inner_text()
    return json.loads(text[text.index("{") : text.rindex("}") + 1])["feedback"][0]


def kept(url: str, card: str) -> list[dict]:
    """Return what the database holds of a card's feedback, once it has been forwarded there."""
    database = Database(url)

    def rows() -> list[dict]:
        with database.reading() as connection:
            found = connection.execute(select(feedback).where(feedback.c.card == card)).mappings()
            return [dict(row) for row in found]

    wait_for(lambda: bool(rows()))
    return rows()


def test_from_patient_to_order_to_warning_to_an_accepted_suggestion(page, database_of_server):
    begin(page)
    page.locator("#patient").select_option(label="Deandre")
    page.locator("#order").select_option(label="Dry needling, 3 or more muscles")
    expect(heading(page)).to_have_text(WARNING)
    expect(page.locator("#problems li.decided")).to_contain_text(["Chronic low back pain"])
    expect(page.locator("#problems section").first).to_contain_text("Decides")
    page.get_by_role("button", name="Remove the dry needling order").click()
    expect(page.locator("#cards")).to_contain_text("Accepted: Remove the dry needling order")
    entry = sent(page)
    (row,) = kept(database_of_server, entry["card"])
    assert (row["outcome"], row["suggestions"]) == ("accepted", entry["acceptedSuggestions"][0]["id"])


def test_an_override_with_a_reason_is_kept(page, database_of_server):
    begin(page)
    expect(heading(page)).to_have_text(WARNING)
    page.get_by_label("Reason for overriding").select_option(
        label="Patient prefers an alternative approach or treatment"
    )
    page.get_by_role("button", name="Override").click()
    entry = sent(page)
    (row,) = kept(database_of_server, entry["card"])
    assert (row["outcome"], row["reason_code"]) == ("overridden", "prefers-alternative")


def test_radiculopathy_turns_r1_into_r4_and_back(page):
    begin(page)
    expect(page.locator(".rules tr.fired")).to_contain_text("R1")
    page.get_by_label("Add a problem").select_option(label="Lumbar radiculopathy")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".rules tr.fired")).to_contain_text("R4")
    expect(heading(page)).to_contain_text("nerve-root pain")
    comparison = page.locator("#comparison")
    expect(comparison.locator(".changes")).to_contain_text("Added: Lumbar radiculopathy.")
    expect(comparison.locator(".facts")).to_contain_text(
        "nerve-root diagnosis: none recognized among 77 active problems"
    )
    expect(comparison.locator(".before h5")).to_contain_text("not recommended for chronic")
    expect(comparison.locator(".before h5 del").first).to_be_visible()
    expect(comparison.locator(".after h5")).to_contain_text("the guideline excludes")
    expect(comparison.locator(".after h5 ins").first).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.get_by_label("Radiculopathy, lumbar region").first.uncheck()
    expect(page.locator(".rules tr.fired")).to_contain_text("R1")


def test_a_moved_onset_turns_acute_into_chronic(page):
    page.goto("/")
    expect(heading(page)).to_be_visible()
    page.get_by_text("Use a chart of your own").click()
    pain = condition("M54.50", onsetDateTime="2020-01-01")
    page.locator("#bundle").fill(json.dumps(bundle({"resourceType": "Patient", "id": "p1"}, pain)))
    page.get_by_role("button", name="Use this chart").click()
    expect(page.locator(".rules tr.fired")).to_contain_text("R1")
    page.get_by_label("Onset of M54.50").fill("")
    expect(page.locator(".rules tr.fired")).to_contain_text("R6")
    page.get_by_label("Onset of M54.50").fill("2019-05-01")
    expect(page.locator(".rules tr.fired")).to_contain_text("R1")


def test_a_chart_can_be_read_from_a_file_and_a_wrong_one_is_told(page):
    page.goto("/")
    expect(heading(page)).to_be_visible()
    page.get_by_text("Use a chart of your own").click()
    page.locator("#upload").set_input_files(FIXTURES.parent / "cds_service/web/patients/Crissy.json")
    expect(page.locator(".rules tr.fired")).to_contain_text("R7")
    page.locator("#bundle").fill("{}")
    page.get_by_role("button", name="Use this chart").click()
    expect(page.locator("#own-fault")).to_have_text("This Bundle cannot be used: there is no entry in it.")


def test_other_orders_and_signing(page):
    page.goto("/")
    expect(heading(page)).to_be_visible()
    page.locator("#order").select_option(label="Acupuncture")
    expect(page.locator("#status")).to_have_text("No card: this service has nothing to say here.")
    page.locator("#order").select_option(label="Dry needling, 1 or 2 muscles")
    page.locator("#hook").select_option(label="When orders are signed (order-sign)")
    expect(page.locator("#request")).to_contain_text('"hook": "order-sign"')
    page.locator("#site").select_option(label="Neck and shoulder")
    page.locator("#reason").select_option(label="Migraine")
    expect(page.locator(".rules tr.fired")).to_contain_text("R5")


def test_what_was_sent_and_answered_is_shown(page):
    begin(page)
    expect(heading(page)).to_have_text(WARNING)
    request = json.loads(page.locator("#request").text_content())
    response = json.loads(page.locator("#response").text_content())
    assert request["prefetch"]["conditions"]["entry"]
    assert response["cards"][0]["summary"] == WARNING
    curl = page.locator("#curl").text_content()
    assert "/cds-services/dry-needling-order-select -H 'Content-Type: application/json'" in curl
