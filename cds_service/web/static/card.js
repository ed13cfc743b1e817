// One card as an EHR would draw it: summary, detail, source, suggestions, override menu, links.
const markdown = window.markdownit({ html: false, linkify: false });

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...children);
  return made;
}

function linked(label, url) {
  return element("a", { href: url, rel: "noreferrer" }, label);
}

export function card(card, tell) {
  const drawn = element("article", { class: `card ${card.indicator}`, "aria-label": card.summary });
  const detail = element("div", { class: "detail" });
  detail.innerHTML = markdown.render(card.detail); // markdown-it leaves HTML in a card as text
  const source = element("p", { class: "source" }, "Source: ", card.source.url ? linked(card.source.label, card.source.url) : card.source.label);
  const answer = element("div", { class: "buttons" });

  async function finish(words, entry) {
    const kept = await tell({ card: card.uuid, ...entry, outcomeTimestamp: new Date().toISOString() });
    answer.replaceChildren(element("p", { role: "status" }, kept ? words : "The feedback could not be kept; please try again."));
  }

  (card.suggestions ?? []).forEach((suggestion) => {
    const button = element("button", { type: "button", class: suggestion.isRecommended ? "recommended" : "", title: suggestion.actions[0].description }, suggestion.label);
    button.addEventListener("click", () => finish(`Accepted: ${suggestion.label}`, { outcome: "accepted", acceptedSuggestions: [{ id: suggestion.uuid }] }));
    answer.append(button);
  });
  const reasons = element("select", { "aria-label": "Reason for overriding" }, element("option", { value: "" }, "Reason for overriding"));
  (card.overrideReasons ?? []).forEach((reason, index) => reasons.append(element("option", { value: String(index) }, reason.display)));
  const override = element("button", { type: "button" }, "Override");
  override.addEventListener("click", () => {
    const reason = reasons.value === "" ? {} : { overrideReason: { reason: card.overrideReasons[Number(reasons.value)] } };
    finish("Overridden", { outcome: "overridden", ...reason });
  });
  answer.append(element("span", { class: "override" }, reasons, override));
  const links = element("ul", { class: "links" }, ...(card.links ?? []).map((link) => element("li", {}, linked(link.label, link.url))));
  drawn.append(
    element("p", { class: "indicator" }, card.indicator), element("h3", {}, card.summary),
    detail, source, answer, links,
  );
  return drawn;
}
