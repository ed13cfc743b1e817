// A scenario: what is chosen and what is changed in the chart, as the page's address holds it, and the request it makes.
import { uuid } from "./elements.js";

const STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const ONSETS = ["onsetDateTime", "onsetPeriod", "onsetAge", "onsetRange", "onsetString"];
const OVER = ["inactive", "resolved", "remission"];
const CHOICES = ["service", "patient", "order", "site", "reason"];

const statusOf = (code) => ({ coding: [{ system: STATUS, code }] });

// Changes are written as off:Condition/1, on:Condition/1, onset:Condition/1:2019-05-01, problem:Label, medication:Label.
export function read(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const scenario = Object.fromEntries(CHOICES.map((name) => [name, fields.get(name) ?? ""]));
  return { ...scenario, changes: fields.getAll("change"), chart: fields.get("chart") ?? "" };
}

export function write(scenario) {
  const fields = new URLSearchParams();
  [...CHOICES, "chart"].forEach((name) => { if (scenario[name]) fields.set(name, scenario[name]); });
  scenario.changes.forEach((change) => fields.append("change", change));
  return `#${fields}`;
}

// The latest change of an element is the one that counts; what is added stays, each time it is added.
export function withChange(changes, change) {
  const target = targetOf(change);
  return [...(target ? changes.filter((other) => targetOf(other) !== target) : changes), change];
}

function targetOf(change) {
  const [kind, what] = kindOf(change);
  if (kind === "onset") return `onset of ${what.slice(0, what.lastIndexOf(":"))}`;
  return kind === "on" || kind === "off" ? `status of ${what}` : "";
}

function kindOf(change) {
  const colon = change.indexOf(":");
  return [change.slice(0, colon), change.slice(colon + 1)];
}

export const words = (resource) => {
  const concept = resource.code ?? resource.medicationCodeableConcept;
  return concept?.coding?.[0]?.display ?? concept?.text ?? concept?.coding?.[0]?.code ?? resource.medicationReference?.display ?? "(no words)";
};

export function isActive(resource) {
  if (resource.resourceType === "MedicationRequest") return ["active", undefined].includes(resource.status);
  const codes = (resource.clinicalStatus?.coding ?? []).map((coding) => coding.code);
  return codes.length ? !codes.some((code) => OVER.includes(code)) : !Object.keys(resource).some((key) => key.startsWith("abatement"));
}

// Returns the chart's resources after the changes, each with the name by which a change calls it.
export function changedChart(chart, changes, offered) {
  const entries = chart.entry.map((entry) => entry?.resource).filter((resource) => resource?.resourceType)
    .map((resource, index) => ({ name: `${resource.resourceType}/${resource.id ?? `#${index}`}`, resource, changed: false }));
  const subject = { reference: `Patient/${entries.find((entry) => entry.resource.resourceType === "Patient").resource.id}` };
  for (const change of changes) {
    const [kind, what] = kindOf(change);
    if (kind === "problem" || kind === "medication") {
      const choice = (offered[kind] ?? []).find((found) => found.label === what);
      if (choice) entries.push(added(kind, choice, subject, entries.length));
      continue;
    }
    const target = kind === "onset" ? what.slice(0, what.lastIndexOf(":")) : what;
    const entry = entries.find((found) => found.name === target);
    if (!entry) continue;
    entry.resource = altered(entry.resource, kind, what.slice(what.lastIndexOf(":") + 1));
    entry.changed = true;
  }
  return entries;
}

function added(kind, choice, subject, number) {
  const resource = kind === "problem"
    ? { resourceType: "Condition", id: `added-${number}`, clinicalStatus: statusOf("active"), code: { coding: [choice.code] }, subject }
    : { resourceType: "MedicationRequest", id: `added-${number}`, status: "active", intent: "order", medicationCodeableConcept: { coding: [choice.code] }, subject };
  return { name: `${resource.resourceType}/${resource.id}`, resource, changed: true };
}

function altered(resource, kind, day) {
  const copy = { ...resource };
  if (kind === "onset") {
    ONSETS.forEach((name) => delete copy[name]);
    if (day) copy.onsetDateTime = day;
  } else if (resource.resourceType === "MedicationRequest") {
    copy.status = kind === "on" ? "active" : "stopped";
  } else {
    copy.clinicalStatus = statusOf(kind === "on" ? "active" : "inactive");
  }
  return copy;
}

export const hasOrders = (service) => ["order-select", "order-sign"].includes(service.hook);

export function request(scenario, service, entries, offered) {
  const chosen = (kind, label) => (offered[kind] ?? []).find((choice) => choice.label === label);
  const resources = entries.map((entry) => entry.resource);
  const patientId = resources.find((resource) => resource.resourceType === "Patient").id;
  const order = hasOrders(service) ? draftOrder(patientId, chosen("order", scenario.order), chosen("site", scenario.site), chosen("problem", scenario.reason)) : null;
  return {
    hook: service.hook, hookInstance: uuid(),
    context: {
      userId: "Practitioner/preview", patientId,
      ...(service.hook === "order-select" ? { selections: [`ServiceRequest/${order.id}`] } : {}),
      ...(order ? { draftOrders: { resourceType: "Bundle", type: "collection", entry: [{ resource: order }] } } : {}),
    },
    prefetch: prefetch(service, resources),
  };
}

function draftOrder(patientId, order, site, reason) {
  return {
    resourceType: "ServiceRequest", id: "preview-order", status: "draft", intent: "order",
    code: { coding: [order.code], text: order.label },
    subject: { reference: `Patient/${patientId}` },
    ...(site ? { bodySite: [{ text: site.text }] } : {}),
    ...(reason ? { reasonCode: [{ coding: [reason.code] }] } : {}),
  };
}

const typeOf = (query) => query.split(/[?/]/)[0];

export const typesOf = (service) => [...new Set(Object.values(service.prefetch).map(typeOf))];

function prefetch(service, resources) {
  const found = {};
  for (const [key, query] of Object.entries(service.prefetch)) {
    const entries = resources.filter((resource) => resource.resourceType === typeOf(query)).map((resource) => ({ resource }));
    found[key] = query.includes("?") ? { resourceType: "Bundle", type: "searchset", entry: entries } : entries[0]?.resource ?? null;
  }
  return found;
}

// A chart of one's own goes into a link only when somebody asks for it, packed.
export async function packed(chart) {
  const stream = new Blob([JSON.stringify(chart)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).json();
}
