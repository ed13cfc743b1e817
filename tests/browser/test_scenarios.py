"""The preview's scenarios: examples, links that hold them, what stands first, and when the service is asked."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect
from pydantic import TypeAdapter

from cds_service.guideline.trace import Trace
from tests.browser.test_preview import heading
from tests.cases import FIXTURES
from tests.charts import bundle, condition
from tests.system.conftest import served

ROOT = FIXTURES.parent
PREVIEW = tomllib.loads((ROOT / "hooks" / "dry_needling" / "preview.toml").read_text(encoding="utf-8"))
one_width = pytest.mark.parametrize("page", [(1400, "light")], ids=["1400px-light"], indirect=True)


def fired(page: Page):
    return page.locator(".rules tr.fired th")


@one_width
def test_each_example_shows_its_rule_and_a_link_to_it_shows_the_same_in_a_new_page(page):
    for example in PREVIEW["example"]:
        page.goto("about:blank")
        page.goto(f"/#{example['link']}")
        expect(fired(page)).to_have_text(example["rule"])
    page.get_by_role("link", name="With nerve-root pain").click()
    expect(fired(page)).to_have_text("R4")
    page.get_by_label("Radiculopathy, lumbar region").first.uncheck()
    page.get_by_label("Onset of Chronic low back pain (finding)").fill("2020-05-01")
    expect(heading(page)).to_contain_text("not recommended")
    expect(page.locator("#cards .detail")).to_contain_text("since 2020-05-01")
    kept, words = page.url, page.locator("#cards .detail").inner_text()
    assert "?" not in kept
    page.goto("about:blank")
    page.goto(kept)
    expect(heading(page)).to_contain_text("not recommended")
    assert page.locator("#cards .detail").inner_text() == words
    expect(page.get_by_label("Radiculopathy, lumbar region").first).not_to_be_checked()
    expect(page.get_by_label("Onset of Chronic low back pain (finding)")).to_have_value("2020-05-01")


@one_width
def test_a_chart_of_ones_own_is_in_no_address_until_somebody_asks_for_a_link(page):
    page.goto("/")
    expect(heading(page)).to_be_visible()
    page.get_by_text("Use a chart of your own").click()
    own = bundle({"resourceType": "Patient", "id": "p1"}, condition("M54.50", onsetDateTime="2020-01-01"))
    page.locator("#bundle").fill(json.dumps(own))
    page.get_by_role("button", name="Use this chart").click()
    expect(fired(page)).to_have_text("R1")
    assert urlsplit(page.url).fragment == ""
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.get_by_role("button", name="Copy a link to this scenario").click()
    expect(page.locator("#link-said")).to_contain_text(
        "It holds the whole chart: share it only if the patient is made up."
    )
    assert urlsplit(page.url).fragment == ""
    link = page.evaluate("window.copied")
    page.goto("about:blank")
    page.goto(link)
    expect(fired(page)).to_have_text("R1")
    assert urlsplit(page.url).fragment == ""
    page.goto("about:blank")
    page.goto("/#chart=nonsense")
    expect(page.locator("#status")).to_contain_text("The chart in this link cannot be read.")


@one_width
def test_nothing_is_asked_before_the_first_chart_has_loaded(page):
    """A change made meanwhile is not lost: the first call holds it."""
    waiting: list[Route] = []
    asked: list[str] = []
    page.route("**/preview/patients/*", lambda route: waiting.append(route))  # noqa: PLW0108 - counted by its arguments
    page.on("request", lambda sent: asked.append(sent.url) if sent.method == "POST" else None)
    page.goto("/")
    page.locator("#reason").select_option(label="Migraine")
    page.locator("#site").select_option(label="Neck and shoulder")
    page.get_by_label("Add a medication").select_option(label="Apixaban")
    page.locator("#add-medication").click()
    assert asked == []
    (route,) = waiting
    route.continue_()
    expect(fired(page)).to_have_text("R5")
    expect(page.locator("#precautions")).to_contain_text("Anticoagulant (Apixaban)")
    assert len(asked) == 2  # the call and its trace


@one_width
def test_relevant_problems_stand_first_and_medications_and_precautions_are_shown(page):
    page.goto("/#patient=Enoch&reason=Chronic+low+back+pain")
    expect(heading(page)).to_be_visible()
    titles = page.locator("#problems h3").all_text_contents()
    assert titles == ["Decides", "Pain"]
    expect(page.locator("#problems section").nth(1)).to_contain_text("Migraine (disorder) read as headache")
    rest = page.locator("#problems details")
    expect(rest.locator("summary")).to_have_text("Other problems (133)")
    expect(rest.get_by_role("checkbox").first).not_to_be_visible()
    expect(page.locator("#precautions")).to_have_text("None recognized.")
    page.get_by_text("Other problems (133)").click()
    review = rest.locator("li").filter(has_text="Medication review due (situation)").first
    expect(review).to_contain_text(" entries")
    before = page.locator("#cards .detail").inner_text()
    review.get_by_role("checkbox").uncheck()  # entries of the same words change together
    expect(page.locator("#cards .detail")).not_to_contain_text("among 77 active problems")
    assert "no nerve-root diagnosis recognized among 77 active problems" in before
    page.get_by_label("Add a problem").select_option(label="Hemophilia A")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#add-medication").click()
    expect(page.locator("#medications li")).to_contain_text("Warfarin read as anticoagulation")
    expect(page.locator("#precautions")).to_contain_text("Bleeding disorder (Hereditary factor VIII...)")
    page.get_by_label("Warfarin read as").uncheck()
    expect(page.locator("#precautions")).not_to_contain_text("Anticoagulant")


def tab_to(page: Page, what: str) -> None:
    """Press Tab until an element has the focus, which must be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(what) => document.activeElement.matches(what)", what):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
            return
    raise AssertionError(f"Tab never reaches {what}")


@one_width
def test_an_order_is_tried_changed_and_answered_by_keyboard_alone(page):
    page.goto("/#patient=Enoch")
    expect(fired(page)).to_have_text("R12")
    tab_to(page, "#reason")
    page.keyboard.type("Chronic")
    expect(fired(page)).to_have_text("R1")
    tab_to(page, "#add-problem")
    page.keyboard.press("Enter")
    expect(fired(page)).to_have_text("R4")
    tab_to(page, "#problems li.decided:last-of-type input[type=checkbox]")
    page.keyboard.press("Space")
    expect(fired(page)).to_have_text("R1")
    assert page.evaluate("document.activeElement.type") == "checkbox"  # nothing moved under the reader's hand
    tab_to(page, "button.recommended")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Accepted: Remove the dry needling order")


_STRICT = """
(schema) => {
  const read = new Set();
  const resolve = (part) => part?.$ref ? schema.$defs[part.$ref.split("/").pop()] : part;
  const strict = (value, part, path) => {
    const type = resolve(part);
    if (value === null || typeof value !== "object") return value;
    return new Proxy(value, { get(target, name) {
      const found = Reflect.get(target, name);
      if (typeof name === "symbol" || typeof found === "function") return found;
      if (Array.isArray(target)) return name === "length" ? found : strict(found, type.items, `${path}[]`);
      if (type.properties && !(name in type.properties)) throw new Error(`the trace has no ${path}.${name}`);
      if (type.properties) read.add(`${path}.${name}`);
      return strict(found, type.properties?.[name] ?? type.additionalProperties, `${path}.${name}`);
    } });
  };
  const json = Response.prototype.json;
  Response.prototype.json = async function () {
    const body = await json.call(this);
    return this.url.includes("/preview/trace") && body.trace ? { trace: strict(body.trace, schema, "trace") } : body;
  };
  window.readFields = () => [...read].sort();
}
"""


@one_width
def test_the_script_reads_no_field_of_the_trace_that_its_type_does_not_have(page):
    """Issue 13, point 6: a field that is renamed is an error in the console, which fails the test."""
    page.add_init_script(f"({_STRICT})({json.dumps(TypeAdapter(Trace).json_schema())})")
    unreadable = {"resourceType": "Condition", "id": "odd", "code": 5, "subject": {"reference": "Patient/p1"}}
    foreign = condition("M54.2", id="other", subject={"reference": "Patient/p2"})
    bad_day = condition("M54.50", onsetDateTime="in spring")
    own = bundle({"resourceType": "Patient", "id": "p1"}, bad_day, unreadable, foreign)
    page.goto("/#patient=Crissy&site=Neck+and+shoulder&reason=Neck+pain&change=medication:Warfarin")
    expect(fired(page)).to_have_text("R7")
    page.locator("#add-problem").click()
    expect(page.locator("#comparison")).to_be_visible()
    page.get_by_text("Use a chart of your own").click()
    page.locator("#bundle").fill(json.dumps(own))
    page.get_by_role("button", name="Use this chart").click()
    expect(page.locator("#why")).to_contain_text("because they are about another patient: 1")
    fields = set(page.evaluate("window.readFields()"))
    decision = "trace.decisions[]"
    assert fields >= {
        "trace.guideline", "trace.entriesAboutOthers", "trace.prefetch", "trace.orders[].outcome",
        "trace.recognized[].valueSets", f"{decision}.deciding[].role", f"{decision}.findings[].asks",
        f"{decision}.findings[].words", f"{decision}.rules[].because", f"{decision}.rules[].summary",
        f"{decision}.notes[].words", f"{decision}.unreadable[].reference", f"{decision}.lost[].display",
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(request) -> Iterator[str]:
    """The server of this module has a second guideline beside ours, from its folder."""
    folder = str(ROOT / "tests" / "example_guideline" / "lumbar_imaging")
    both = {"CDS_GUIDELINES": "dry-needling,lumbar-imaging", "CDS_GUIDELINE_FOLDERS": folder}
    with served(CDS_LOG_LEVEL="error", **both) as (url, _):
        yield url


@one_width
def test_a_second_guideline_has_its_own_orders_and_a_hook_without_orders_has_none(page):
    page.goto("/")
    expect(heading(page)).to_be_visible()
    moment = page.get_by_label("Moment")
    moment.select_option(label="Lumbar imaging (test article): When an order is selected (order-select)")
    expect(page.get_by_label("Order", exact=True)).to_contain_text("MRI of the lumbar spine")
    expect(page.locator("#medications-section")).to_be_hidden()
    expect(page.locator("#precautions-section")).to_be_hidden()
    page.get_by_text("Use a chart of your own").click()
    own = bundle({"resourceType": "Patient", "id": "p1"}, condition("M54.50", onsetDateTime="2020-01-01"))
    page.locator("#bundle").fill(json.dumps(own))
    page.get_by_role("button", name="Use this chart").click()
    expect(page.locator("#status")).to_have_text("No card: this service has nothing to say here.")
    today = page.evaluate("new Date().toLocaleDateString('sv')")
    page.get_by_label("Onset of M54.50").fill(today)
    expect(fired(page)).to_have_text("R1")
    moment.select_option(label="Lumbar imaging (test article): When a chart is opened (patient-view)")
    expect(page.locator("#order-fields")).to_be_hidden()
    expect(fired(page)).to_have_text("R2")
    for link in page.locator(".rules a").all():
        assert "evidence/lumbar-imaging#lumbar-imaging-" in link.get_attribute("href")
