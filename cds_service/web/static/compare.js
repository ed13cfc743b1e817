// What a change did: the card before and after it, side by side, with the words that differ marked.
import { text as drawText } from "./card.js";
import { element } from "./elements.js";
import { changedFacts } from "./why.js";

// `before` and `after` each hold the cards and the trace of an answer; `changes` says in words what was changed.
export function compare(place, changes, before, after) {
  const [was, is] = [before, after].map(({ cards }) => drawn(cards));
  const differ = markDifferences(was, is);
  const facts = changedFacts(before.trace, after.trace).map((fact) =>
    element("li", {}, `${fact.asks}: `, element("del", {}, fact.before), " ", element("ins", {}, fact.after)));
  place.querySelector(".changes").textContent = `${changes.join("; ")}. ${differ ? "Struck through: gone. Underlined: new." : "The card did not change."}`;
  place.querySelector(".facts").replaceChildren(...facts);
  place.querySelector(".before").replaceChildren(element("h4", {}, "Before"), was);
  place.querySelector(".after").replaceChildren(element("h4", {}, "After"), is);
  place.hidden = false;
}

function drawn(cards) {
  return element("div", {}, ...(cards.length ? cards.map((card) => drawText(card, "h5")) : [element("p", { class: "empty" }, "No card.")]));
}

const FEWEST_COMMON = 3;

// Marks the words of two elements that are in one only; returns whether there are any.
function markDifferences(was, is) {
  const [before, after] = [was, is].map(wordsOf);
  const common = withoutScraps(longestCommon(before.map((word) => word.text), after.map((word) => word.text)), before, after);
  const gone = before.filter((_, index) => !common.before.has(index));
  const added = after.filter((_, index) => !common.after.has(index));
  wrap(gone, "del");
  wrap(added, "ins");
  return gone.length + added.length > 0;
}

function wordsOf(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const block = node.parentElement.closest("p, li, h5");
    for (const match of node.data.matchAll(/\S+/g)) {
      found.push({ node, block, first: block !== found.at(-1)?.block, start: match.index, end: match.index + match[0].length, text: match[0] });
    }
  }
  return found;
}

// A card has 120 words and a summary, so a table of all pairs is small.
function longestCommon(one, other) {
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i] === other[j]) {
      pairs.push([i++, j++]);
    } else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

// One or two words that two sentences share by chance are no help to a reader; those that begin a paragraph are.
function withoutScraps(pairs, before, after) {
  const common = { before: new Set(), after: new Set() };
  let run = [];
  const keep = () => {
    if (run.length >= FEWEST_COMMON || (run.length && before[run[0][0]].first && after[run[0][1]].first)) {
      run.forEach(([i, j]) => { common.before.add(i); common.after.add(j); });
    }
    run = [];
  };
  pairs.forEach(([i, j]) => {
    const [previous] = run.slice(-1);
    if (previous && (i !== previous[0] + 1 || j !== previous[1] + 1)) keep();
    run.push([i, j]);
  });
  keep();
  return common;
}

// Neighbors become one mark; the last come first, so that what stands before them keeps its place.
function wrap(words, name) {
  const runs = [];
  words.forEach((word) => {
    const last = runs.at(-1);
    if (last && last.node === word.node && /^\s*$/.test(word.node.data.slice(last.end, word.start))) last.end = word.end;
    else runs.push({ node: word.node, start: word.start, end: word.end });
  });
  runs.reverse().forEach((run) => {
    const range = document.createRange();
    range.setStart(run.node, run.start);
    range.setEnd(run.node, run.end);
    range.surroundContents(element(name));
  });
}
