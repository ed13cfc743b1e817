// Why the card says what it says, from the trace: how the order was read, what decided, and every rule in words.
import { element } from "./elements.js";

const STATES = { partial: "seen only in part", failed: "could not be read", absent: "not sent", "of-others": "about other patients only" };
const OUTCOMES = { fired: "Decides", "not met": "Does not apply", "an earlier rule decided": "Not needed: an earlier rule decides" };

// The chart entries behind the facts that the deciding rules tested, with the part each played.
export function decidingEntries(trace) {
  const grounds = (trace?.decisions ?? []).flatMap((decision) => decision.deciding);
  return new Map(grounds.flatMap((ground) => ground.entries.map((entry) => [entry.reference, ground.role])));
}

export function recognizedEntries(trace) {
  return new Map((trace?.recognized ?? []).map((entry) => [entry.reference, { valueSets: entry.valueSets, phrases: entry.phrases }]));
}

export function precautions(trace) {
  const notes = (trace?.decisions ?? []).flatMap((decision) => decision.notes);
  return [...new Set(notes.filter((note) => note.part === "precaution").map((note) => note.words))];
}

// Facts whose answer differs between two traces, in words.
export function changedFacts(before, after) {
  const earlier = new Map((before?.decisions[0]?.findings ?? []).map((finding) => [finding.fact, finding]));
  return (after?.decisions[0]?.findings ?? []).flatMap((finding) => {
    const was = earlier.get(finding.fact);
    return was && was.value !== finding.value ? [{ asks: finding.asks, before: was.words, after: finding.words }] : [];
  });
}

// `leftOut` are the notes for which the card has no room.
export function explain(trace, leftOut) {
  const orders = trace.orders.map((order) => element("p", {}, `${order.display}: ${order.outcome}.`));
  return [...orders, ...trace.decisions.flatMap((decision) => explained(decision, trace.guideline, leftOut)), ...unseen(trace)];
}

function explained(decision, guideline, leftOut) {
  const at = decision.rules.findIndex((rule) => rule.outcome === "fired");
  const table = (rules) => element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Rules" },
    element("table", { class: "rules" },
      element("thead", {}, element("tr", {}, ...["Rule", "What its card says", "For this order"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rules.map((rule) => row(rule, guideline)))));
  const below = decision.rules.slice(at + 1);
  const folded = below.length ? [element("details", {}, element("summary", {}, `The ${below.length} rules below it`), table(below))] : [];
  const notes = decision.notes.filter((note) => leftOut.has(note.note)).map((note) => element("li", {}, note.words));
  return [
    element("p", {}, "Rules are read from top to bottom; the first one that applies decides."),
    table(decision.rules.slice(0, at + 1)), ...folded,
    ...(notes.length ? [element("p", {}, "The card had no room for:"), element("ul", {}, ...notes)] : []),
    ...unreadable("Could not be read", decision.unreadable), ...unreadable("Elements that could not be read", decision.lost),
  ];
}

function row(rule, guideline) {
  const fired = rule.outcome === "fired";
  const because = rule.because.length ? [element("ul", {}, ...rule.because.map((words) => element("li", {}, words)))] : [];
  return element("tr", fired ? { class: "fired" } : {},
    element("th", { scope: "row" }, element("a", { href: `evidence/${guideline}#${guideline}-${rule.rule}` }, rule.rule)),
    element("td", {}, element("strong", {}, rule.summary)),
    element("td", {}, element("strong", {}, OUTCOMES[rule.outcome]), ...(rule.outcome === "an earlier rule decided" ? [] : because)));
}

function unreadable(title, entries) {
  return entries.length ? [element("p", {}, `${title}: ${entries.map((entry) => `${entry.display} (${entry.reference})`).join("; ")}.`)] : [];
}

function unseen(trace) {
  const states = Object.entries(trace.prefetch).filter(([, state]) => state in STATES);
  return [
    ...states.map(([key, state]) => element("p", { class: "hint" }, `${key}: ${STATES[state]}.`)),
    ...(trace.entriesAboutOthers ? [element("p", { class: "hint" }, `Entries left out because they are about another patient: ${trace.entriesAboutOthers}.`)] : []),
  ];
}
