// Order entry: reads the scenario from the address, sends what an EHR would send to the real service, draws the answer.
import { card as drawCard } from "./card.js";
import { compare } from "./compare.js";
import { at, copy, element } from "./elements.js";
import { drawMedications, drawProblems, mark } from "./problems.js";
import { changedChart, hasOrders, packed, read, request, typesOf, unpacked, withChange, write } from "./scenario.js";
import { decidingEntries, explain, precautions, recognizedEntries } from "./why.js";

const setup = JSON.parse(at("setup").textContent);
const SELECTS = { order: "order", site: "site", reason: "problem" };
let chart = null; // as it was loaded; nothing is asked before
let scenario = read(location.hash);
let shown = null; // the last answer, which the next one is compared with
let changes = []; // in words, since then
let latest = 0;
let loading = 0;

const service = () => setup.services.find((found) => found.key === scenario.service) ?? setup.services[0];
const choices = () => setup.choices[service().guideline];
const offered = (kind) => choices()[kind] ?? [];
const entries = () => changedChart(chart, scenario.changes, choices());
const ofType = (type) => entries().filter((entry) => entry.resource.resourceType === type);
const sendsMedications = () => typesOf(service()).includes("MedicationRequest");

function fill(select, values, value) {
  select.replaceChildren(...values.map(([name, label]) => element("option", { value: name }, label)));
  select.value = values.some(([name]) => name === value) ? value : values[0]?.[0] ?? "";
  return select.value;
}

// Brings the fields in line with the scenario. What can be ordered and added is the guideline's own.
function drawFields() {
  const labels = (kind) => offered(kind).map((choice) => [choice.label, choice.label]);
  const unstated = ["", "Not stated"];
  scenario.service = fill(at("hook"), setup.services.map((found) => [found.key, found.label]), scenario.service);
  const patients = setup.patients.map((name) => [name, name]);
  fill(at("patient"), scenario.patient ? patients : [["", "A chart of your own"], ...patients], scenario.patient);
  scenario.order = fill(at("order"), labels("order"), scenario.order);
  scenario.site = fill(at("site"), [unstated, ...labels("site")], scenario.site);
  scenario.reason = fill(at("reason"), [unstated, ...labels("problem")], scenario.reason);
  fill(at("problem"), labels("problem"), at("problem").value || offered("problem")[2]?.label);
  fill(at("medication"), labels("medication"), at("medication").value);
  at("order-fields").hidden = !hasOrders(service());
  at("medications-section").hidden = !sendsMedications();
}

async function post(path, body) {
  const started = performance.now();
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return { status: response.status, answer: await response.json(), milliseconds: performance.now() - started };
  } catch {
    return { status: 0, answer: { issue: [{ diagnostics: "the service did not answer. Check that it is running" }] } };
  }
}

// Asks the service, and draws its answer unless a newer change is being answered already.
async function ask() {
  if (!chart) return;
  const turn = ++latest;
  if (hasOrders(service()) && !offered("order").length) {
    at("status").textContent = "There is no order to try. List some in preview.toml, beside the guideline's knowledge folder.";
    return;
  }
  const sent = request(scenario, service(), entries(), choices());
  const path = `cds-services/${service().id}`;
  const called = await post(path, sent);
  if (turn !== latest) return;
  const traced = await post(`preview/trace?service=${service().id}`, sent);
  if (turn !== latest) return;
  draw(path, called, traced);
  at("request").textContent = JSON.stringify(sent, null, 2);
  at("response").textContent = JSON.stringify(called.answer, null, 2);
  const quoted = JSON.stringify(sent).replaceAll("'", "'\\''");
  at("curl").textContent = `curl -s ${new URL(path, location.href)} -H 'Content-Type: application/json' --data '${quoted}'`;
}

function draw(path, called, traced) {
  const { cards } = called.answer;
  const trace = traced.status === 200 ? traced.answer.trace : null;
  at("status").textContent = cards ? counted(cards.length, called.milliseconds, trace) : refused(called);
  at("verdict").textContent = cards?.length ? `${cards[0].indicator}: ${cards[0].summary}` : at("status").textContent;
  at("cards").replaceChildren(...(cards ?? []).map((card) => drawCard(card, (entry) => tell(path, entry))));
  at("feedback").hidden = true;
  const leftOut = new Set((cards ?? []).flatMap((card) => Object.values(card.extension ?? {}).flatMap((said) => said.leftOut ?? [])));
  at("why").replaceChildren(...(trace ? explain(trace, leftOut) : [element("p", {}, refused(traced))]));
  drawPrecautions(trace);
  if (!shown?.listed) drawChart(trace);
  mark([at("problems"), at("medications")], decidingEntries(trace));
  const now = { cards: cards ?? [], trace, listed: true };
  if (shown?.cards && changes.length) compare(at("comparison"), changes, shown, now);
  else at("comparison").hidden = true;
  changes = [];
  shown = now;
}

function counted(number, milliseconds, trace) {
  if (number) return `${number} card${number === 1 ? "" : "s"} in ${milliseconds.toFixed(0)} ms`;
  const silent = !trace || trace.decisions.every((decision) => decision.rules.find((rule) => rule.rule === decision.rule).summary === "No card");
  return silent ? "No card: this service has nothing to say here." : "No card: the same card was overridden a short time ago.";
}

const refused = ({ status, answer }) => `Not answered${status ? ` (${status})` : ""}: ${answer.issue.map((issue) => issue.diagnostics).join("; ")}.`;

function drawPrecautions(trace) {
  const found = precautions(trace);
  at("precautions-section").hidden = !setup.precautions[service().guideline];
  at("precautions").replaceChildren(...(found.length ? found : ["None recognized."]).map((words) => element("li", {}, words)));
}

// Names FHIR resources as people do: 12 care plans.
function plural(number, type) {
  return `${number} ${type.replace(/(?!^)[A-Z]/g, " $&").toLowerCase()}${number === 1 ? "" : "s"}`;
}

// Redraws the lists, relevant entries first; between two draws they keep their order.
function drawChart(trace) {
  const recognized = recognizedEntries(trace);
  drawProblems(at("problems"), ofType("Condition"), { deciding: decidingEntries(trace), recognized, groups: offered("group"), alter });
  drawMedications(at("medications"), ofType("MedicationRequest"), recognized, alter);
  const listed = ["Patient", "Condition", "MedicationRequest"];
  const others = typesOf(service()).filter((type) => !listed.includes(type)).map((type) => plural(ofType(type).length, type));
  at("others").textContent = others.length ? `Also sent: ${others.join(", ")}.` : "";
}

function changed(words) {
  changes.push(words);
  remember();
  return ask();
}

// The address holds the scenario, so that it can be kept and shared; a chart of one's own stays out of it.
function remember() {
  history.replaceState(null, "", scenario.patient ? write(scenario) : location.pathname + location.search);
  at("link-said").textContent = "";
}

function alter(altered, words) {
  scenario.changes = altered.reduce(withChange, scenario.changes);
  changed(words);
}

function add(kind) {
  scenario.changes = withChange(scenario.changes, `${kind}:${at(kind).value}`);
  shown = shown && { ...shown, listed: false };
  changed(`Added: ${at(kind).value}`);
}

async function tell(path, entry) {
  const sent = { feedback: [entry] };
  const { status } = await post(`${path}/feedback`, sent);
  at("feedback").hidden = false;
  at("feedback").querySelector("pre").textContent = `POST ${path}/feedback\n${JSON.stringify(sent, null, 2)}\n\n${status === 200 ? "200: kept" : `${status}: not kept`}`;
  return status === 200;
}

// Loads the scenario's chart and asks. If the chart of the same patient is already loaded, it is kept.
async function open(next, words = "") {
  const turn = ++loading;
  const same = chart && next.patient && next.patient === scenario.patient;
  scenario = { ...next, chart: "" };
  drawFields();
  if (!same) {
    at("status").textContent = "Loading the chart.";
    const loaded = await load(next);
    if (turn !== loading) return;
    chart = loaded;
  }
  shown = same && words ? { ...shown, listed: false } : null;
  changes = same && words ? [words] : [];
  remember();
  await ask();
}

async function load({ patient, chart: packedChart }) {
  try {
    if (packedChart) return await unpacked(packedChart);
    const response = await fetch(`preview/patients/${patient}`);
    if (response.ok) return await response.json();
  } catch { /* said below */ }
  at("status").textContent = packedChart ? "The chart in this link cannot be read. Ask for the link again."
    : "The chart did not load. Check that the service is running, then choose the patient again.";
  return null;
}

function fromLink() {
  const next = read(location.hash);
  if (!next.chart && !setup.patients.includes(next.patient)) next.patient = setup.patients.includes("Enoch") ? "Enoch" : setup.patients[0] ?? "";
  if (next.chart) next.patient = "";
  return next;
}

function useOwn() {
  const fault = at("own-fault");
  fault.textContent = "";
  try {
    const bundle = JSON.parse(at("bundle").value);
    if (!Array.isArray(bundle.entry)) throw new Error("there is no entry in it");
    if (!bundle.entry.some((entry) => entry?.resource?.resourceType === "Patient" && entry.resource.id)) throw new Error("there is no Patient with an id in it");
    loading += 1;
    chart = bundle;
    scenario = { ...scenario, patient: "", changes: [], chart: "" };
    shown = null;
    changes = [];
    drawFields();
    remember();
    ask();
  } catch (error) {
    fault.textContent = `This Bundle cannot be used: ${error.message}.`;
  }
}

async function copyLink() {
  const whole = scenario.patient ? scenario : { ...scenario, chart: await packed(chart) };
  const url = new URL(write(whole), location.href).href;
  const copied = await copy(url);
  if (!copied) history.replaceState(null, "", url);
  const where = copied ? "Copied." : "The link is now in the address bar; copy it from there.";
  at("link-said").textContent = scenario.patient ? where : `${where} It holds the whole chart: share it only if the patient is made up.`;
}

Object.entries(SELECTS).forEach(([id, kind]) => at(id).addEventListener("change", () => {
  scenario[id] = at(id).value;
  changed(`${at(id).closest("label").firstChild.data.trim()}: ${offered(kind).find((choice) => choice.label === at(id).value)?.label ?? "not stated"}`);
}));
at("hook").addEventListener("change", () => {
  const before = service().guideline;
  scenario.service = at("hook").value;
  if (service().guideline !== before) shown = null;
  drawFields();
  changed(`Moment: ${service().label}`);
});
at("patient").addEventListener("change", () => open({ ...scenario, patient: at("patient").value, changes: [], chart: "" }));
["problem", "medication"].forEach((kind) => at(`add-${kind}`).addEventListener("click", () => add(kind)));
at("use").addEventListener("click", useOwn);
at("upload").addEventListener("change", async (event) => { at("bundle").value = await event.target.files[0].text(); useOwn(); });
at("link").addEventListener("click", copyLink);
document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
  button.textContent = (await copy(at(button.dataset.copy).textContent)) ? "Copied" : "Select the text and copy it";
}));
// On a narrow screen the verdict stays in sight below the fields, and leads to the card.
at("verdict").addEventListener("click", () => {
  at("answer-heading").scrollIntoView();
  at("answer-heading").focus({ preventScroll: true });
});
addEventListener("hashchange", () => { if (location.hash.includes("=")) open(fromLink(), "Another example"); });
if (setup.patients.length || scenario.chart) open(fromLink()); else { drawFields(); at("own").open = true; }
