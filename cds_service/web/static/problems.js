// The chart as the preview shows it: relevant problems first, the rest folded, and medications; each can be changed.
import { element } from "./elements.js";
import { isActive, words } from "./scenario.js";

const inWords = (id) => id.replaceAll("-", " ");

// Problems in groups: what decides, what was changed, then the guideline's own groups; all other problems are folded.
export function drawProblems(place, entries, { deciding, recognized, groups, alter }) {
  const left = new Set(entries);
  const take = (belongs) => {
    const found = [...left].filter(belongs);
    found.forEach((entry) => left.delete(entry));
    return found;
  };
  const meaning = (entry) => recognized.get(entry.name);
  const kinds = (entry) => (meaning(entry) ? [...meaning(entry).valueSets, ...meaning(entry).phrases] : []);
  const active = (entry) => entry.changed || isActive(entry.resource);
  const sections = [
    ["Decides", take((entry) => deciding.has(entry.name))],
    ["Changed by you", take((entry) => entry.changed)],
    ...groups.map((group) => [group.title, take((entry) => active(entry) && kinds(entry).some((kind) => group.kinds.includes(kind)))]),
    ["Recognized", take((entry) => active(entry) && meaning(entry)?.valueSets.length)],
  ];
  const list = (found) => element("ul", { class: "entries" }, ...alike(found).map((same) => row(same, meaning(same[0]), alter)));
  const drawn = sections.filter(([, found]) => found.length).map(([title, found]) => element("section", {}, element("h3", {}, title), list(found)));
  const rest = [...left].sort((one, other) => isActive(other.resource) - isActive(one.resource));
  if (rest.length) {
    drawn.push(element("details", { class: "rest" }, element("summary", {}, `Other problems (${rest.length})`), list(rest)));
  }
  place.replaceChildren(...drawn, ...(entries.length ? [] : [element("p", { class: "hint" }, "The problem list is empty.")]));
}

export function drawMedications(place, entries, recognized, alter) {
  place.replaceChildren(...alike(entries).map((same) => row(same, recognized.get(same[0].name), alter)));
}

// Long lists say the same thing many times: entries of the same words and status are one row, and change together.
function alike(entries) {
  const rows = new Map();
  entries.forEach((entry) => {
    const key = `${entry.changed} ${isActive(entry.resource)} ${words(entry.resource)}`;
    rows.set(key, [...(rows.get(key) ?? []), entry]);
  });
  return [...rows.values()];
}

function row(same, meaning, alter) {
  const [{ name, resource }] = same;
  const id = `entry-${name}`;
  const said = words(resource);
  const tick = element("input", { type: "checkbox", id });
  tick.checked = isActive(resource);
  tick.addEventListener("change", () => alter(same.map((entry) => `${tick.checked ? "on" : "off"}:${entry.name}`),
    `${said}: ${tick.checked ? "active" : "no longer active"}`));
  const label = element("label", { for: id }, said);
  const made = element("li", {}, tick, label);
  made.references = same.map((entry) => entry.name);
  if (same.length > 1) label.append(element("small", {}, ` ${same.length} entries`));
  if (meaning?.valueSets.length) label.append(element("small", {}, ` read as ${meaning.valueSets.map(inWords).join(", ")}`));
  if (resource.resourceType === "Condition" && same.length === 1) {
    const onset = element("input", { type: "date", "aria-label": `Onset of ${said}` });
    onset.value = (resource.onsetDateTime ?? "").slice(0, 10);
    onset.addEventListener("change", () => alter([`onset:${name}:${onset.value}`], `${said}: ${onset.value ? `began ${onset.value}` : "onset not known"}`));
    made.append(onset);
  }
  return made;
}

// Marks what decided the latest card. The order of the list stays: nothing moves under the reader's hand.
export function mark(places, deciding) {
  places.flatMap((place) => [...place.querySelectorAll("li")]).forEach((item) => {
    const role = item.references.map((name) => deciding.get(name)).find(Boolean);
    item.classList.toggle("decided", Boolean(role));
    item.querySelector(".role")?.remove();
    if (role) item.querySelector("label").append(element("small", { class: "role" }, ` decides: ${role}`));
  });
}
