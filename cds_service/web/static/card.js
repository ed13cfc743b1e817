// One card as an EHR would draw it: summary, detail, source, suggestions, override menu, links.
import { element } from "./elements.js";

const markdown = window.markdownit({ html: false, linkify: false });

function linked(label, url) {
  return element("a", { href: url, rel: "noreferrer" }, label);
}

// What a card says, without what can be done about it.
export function text(card, heading = "h3") {
  const detail = element("div", { class: "detail" });
  detail.innerHTML = markdown.render(card.detail); // markdown-it leaves HTML in a card as text
  return element("article", { class: `card ${card.indicator}` },
    element("p", { class: "indicator" }, card.indicator), element(heading, {}, card.summary), detail);
}

export function card(card, tell) {
  const drawn = text(card);
  drawn.setAttribute("aria-label", card.summary);
  const source = element("p", { class: "source" }, "Source: ", card.source.url ? linked(card.source.label, card.source.url) : card.source.label);
  const answer = element("div", { class: "buttons" });

  async function finish(words, entry) {
    const kept = await tell({ card: card.uuid, ...entry, outcomeTimestamp: new Date().toISOString() });
    const outcome = element("p", { role: "status", tabindex: "-1" }, kept ? words : "The feedback was not kept. Try again.");
    answer.replaceChildren(outcome);
    outcome.focus(); // the button that had it is gone
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
  drawn.append(source, answer, links);
  return drawn;
}
