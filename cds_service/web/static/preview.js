// Order entry: builds the request an EHR would send, sends it to the real service, and draws the answer.
import { card as drawCard, element } from "./card.js";

const told = JSON.parse(document.getElementById("told").textContent);
const at = (id) => document.getElementById(id);
const ACTIVE = { coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: "active" }] };
const INACTIVE = { coding: [{ system: ACTIVE.coding[0].system, code: "inactive" }] };
let chart = { entry: [] };
let latest = 0;

function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const resources = (type) => chart.entry.map((entry) => entry.resource).filter((found) => found?.resourceType === type);
const words = (concept) => concept?.coding?.[0]?.display ?? concept?.text ?? concept?.coding?.[0]?.code ?? "(no words)";

function options(select, choices, first = 0) {
  choices.forEach((choice, index) => select.append(element("option", { value: String(index) }, choice.label ?? choice)));
  if (choices.length > first) select.selectedIndex = first;
}

function chosen(select, choices) {
  return select.value === "" ? null : choices[Number(select.value)];
}

function service() {
  return chosen(at("hook"), told.services);
}

function offered(kind) {
  return told.choices[service().guideline][kind] ?? [];
}

// What can be ordered and added is the guideline's: it changes with the service.
function offer() {
  const unstated = () => element("option", { value: "" }, "Not stated");
  at("order").replaceChildren();
  options(at("order"), offered("order"));
  at("site").replaceChildren(unstated(), ...offered("site").map((site, index) => element("option", { value: String(index) }, site.label)));
  at("reason").replaceChildren(unstated(), ...offered("problem").map((problem, index) => element("option", { value: String(index) }, problem.label)));
  at("problem").replaceChildren();
  options(at("problem"), offered("problem"), 2);
}

function draftOrder(patientId) {
  const order = chosen(at("order"), offered("order"));
  const site = chosen(at("site"), offered("site"));
  const reason = chosen(at("reason"), offered("problem"));
  return {
    resourceType: "ServiceRequest", id: "preview-order", status: "draft", intent: "order",
    code: { coding: [order.code], text: order.label },
    subject: { reference: `Patient/${patientId}` },
    ...(site ? { bodySite: [{ text: site.text }] } : {}),
    ...(reason ? { reasonCode: [{ coding: [reason.code] }] } : {}),
  };
}

function prefetch() {
  const found = {};
  for (const [key, query] of Object.entries(service().prefetch)) {
    const type = query.split(/[?/]/)[0];
    const entries = resources(type).map((resource) => ({ resource }));
    found[key] = query.includes("?") ? { resourceType: "Bundle", type: "searchset", entry: entries } : entries[0]?.resource ?? null;
  }
  return found;
}

function callRequest() {
  const { hook } = service();
  const patientId = resources("Patient")[0].id;
  const order = ["order-select", "order-sign"].includes(hook) ? draftOrder(patientId) : null;
  return {
    hook, hookInstance: uuid(),
    context: {
      userId: "Practitioner/preview", patientId,
      ...(hook === "order-select" ? { selections: [`ServiceRequest/${order.id}`] } : {}),
      ...(order ? { draftOrders: { resourceType: "Bundle", type: "collection", entry: [{ resource: order }] } } : {}),
    },
    prefetch: prefetch(),
  };
}

async function post(path, body) {
  const started = performance.now();
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json();
  return { status: response.status, answer, milliseconds: performance.now() - started };
}

async function ask() {
  const turn = ++latest;
  const request = callRequest();
  const path = `cds-services/${service().id}`;
  const called = await post(path, request);
  const traced = await post(`preview/trace?service=${service().id}`, request);
  if (turn !== latest) return; // a newer change is being answered already
  show(called, path);
  explain(traced);
  at("request").textContent = JSON.stringify(request, null, 2);
  at("response").textContent = JSON.stringify(called.answer, null, 2);
  const quoted = JSON.stringify(request).replaceAll("'", "'\\''");
  at("curl").textContent = `curl -s ${new URL(path, location.href)} -H 'Content-Type: application/json' --data '${quoted}'`;
}

function show(called, path) {
  const cards = called.answer.cards;
  at("feedback").hidden = true;
  at("status").textContent = cards
    ? `${cards.length || "No"} card${cards.length === 1 ? "" : "s"} in ${called.milliseconds.toFixed(0)} ms${cards.length ? "" : ": nothing to say about this order, or overridden a short time ago"}`
    : `Refused (${called.status}): ${called.answer.issue.map((issue) => issue.diagnostics).join("; ")}`;
  at("cards").replaceChildren(...(cards ?? []).map((card) => drawCard(card, (entry) => tell(path, entry))));
  const decided = new Set((cards ?? []).flatMap((card) =>
    Object.values(card.extension ?? {}).flatMap((said) => (said.decidedBy ?? []).map((entry) => entry.reference))));
  document.querySelectorAll("#problems li").forEach((item) => item.classList.toggle("decided", decided.has(item.dataset.reference)));
}

async function tell(path, entry) {
  const sent = { feedback: [entry] };
  const { status } = await post(`${path}/feedback`, sent);
  at("feedback").hidden = false;
  at("feedback").querySelector("pre").textContent = `POST ${path}/feedback\n${JSON.stringify(sent, null, 2)}\n\n${status === 200 ? "200: kept" : `${status}: not kept`}`;
  return status === 200;
}

function explain({ status, answer }) {
  const decisions = status === 200 ? answer.trace.decisions : [];
  const tables = decisions.map((decision) => element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Rules" },
    element("table", { class: "rules" },
      element("thead", {}, element("tr", {}, ...["Rule", "Outcome", "Because"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...decision.rules.map((rule) => element("tr", { class: rule.outcome === "fired" ? "fired" : "" },
        element("th", { scope: "row" }, element("a", { href: `evidence/${answer.trace.guideline}#${answer.trace.guideline}-${rule.rule}` }, rule.rule), ` ${rule.name.replaceAll("-", " ")}`),
        element("td", {}, rule.outcome), element("td", {}, rule.because.join("; "))))))));
  const orders = status === 200 ? answer.trace.orders.map((order) => element("p", {}, `${order.display}: ${order.outcome}.`)) : [];
  at("why").replaceChildren(...orders, ...tables);
}

function listProblems() {
  const items = resources("Condition").map((condition, index) => {
    const ticked = ![...(condition.clinicalStatus?.coding ?? [])].some((coding) => ["inactive", "resolved", "remission"].includes(coding.code));
    const name = `problem-${index}`;
    const tick = element("input", { type: "checkbox", id: name });
    tick.checked = ticked;
    tick.addEventListener("change", () => { condition.clinicalStatus = tick.checked ? ACTIVE : INACTIVE; ask(); });
    const onset = element("input", { type: "date", "aria-label": `Onset of ${words(condition.code)}` });
    onset.value = (condition.onsetDateTime ?? "").slice(0, 10);
    onset.addEventListener("change", () => {
      if (onset.value) condition.onsetDateTime = onset.value; else delete condition.onsetDateTime;
      ask();
    });
    return { ticked, item: element("li", { "data-reference": `Condition/${condition.id}` }, tick, element("label", { for: name }, words(condition.code)), onset) };
  });
  items.sort((one, other) => other.ticked - one.ticked);
  at("problems").replaceChildren(...items.map(({ item }) => item));
  const others = ["Observation", "Procedure", "ServiceRequest", "CarePlan"].map((type) => `${resources(type).length} ${type}`);
  at("others").textContent = `Sent beside them: ${others.join(", ")}.`;
}

async function use(bundle) {
  chart = bundle;
  listProblems();
  await ask();
  at("problems").prepend(...document.querySelectorAll("#problems li.decided"));
}

function useOwn() {
  const fault = at("own-fault");
  fault.textContent = "";
  try {
    const bundle = JSON.parse(at("bundle").value);
    if (!Array.isArray(bundle.entry)) throw new Error("there is no entry in it");
    if (!bundle.entry.some((entry) => entry?.resource?.resourceType === "Patient" && entry.resource.id)) throw new Error("there is no Patient with an id in it");
    use(bundle);
  } catch (error) {
    fault.textContent = `This is no Bundle that can be used: ${error.message}.`;
  }
}

async function usePatient() {
  const response = await fetch(`preview/patients/${chosen(at("patient"), told.patients)}`);
  await use(await response.json());
}

function addProblem() {
  const { code } = chosen(at("problem"), offered("problem"));
  chart.entry.push({ resource: {
    resourceType: "Condition", id: `added-${chart.entry.length}`, clinicalStatus: ACTIVE, code: { coding: [code] },
    subject: { reference: `Patient/${resources("Patient")[0].id}` },
  } });
  listProblems();
  ask();
}

options(at("patient"), told.patients, Math.max(0, told.patients.indexOf("Enoch")));
options(at("hook"), told.services.map((found) => ({ label: Object.keys(told.choices).length > 1 ? found.id : found.hook })));
offer();
["order", "site", "reason"].forEach((id) => at(id).addEventListener("change", ask));
at("hook").addEventListener("change", () => { offer(); ask(); });
at("patient").addEventListener("change", usePatient);
at("add").addEventListener("click", addProblem);
at("use").addEventListener("click", useOwn);
at("upload").addEventListener("change", async (event) => { at("bundle").value = await event.target.files[0].text(); useOwn(); });
document.querySelectorAll("[data-copy]").forEach((button) =>
  button.addEventListener("click", () => navigator.clipboard.writeText(at(button.dataset.copy).textContent)));
if (told.patients.length) usePatient(); else at("own").open = true;
