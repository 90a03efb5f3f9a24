// SPDX-License-Identifier: GPL-2.0-only
// The page: which finding is shown, at which step. #finding-3/step-12 links to a step.
import { Explorer } from "./explorer.mjs";
import { Live } from "./live.mjs";

const data = await unpacked(document.getElementById("data").textContent);
const articles = [...document.querySelectorAll("main > article")];
const PAUSE_MS = 100;
let pause; // the timer of moved()
let explorer = null;
let shown = -1; // index of the finding that is shown
const live = data.live ? new Live(data.live, replace) : null;
if (live) {
  data.findings[0].schedule = data.live.schedule;
}

/** Return the page's data, which is JSON, gzip, and base64. */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Show a finding, and at a position if one is given: else at its first step. */
function show(index, position) {
  const finding = data.findings[index];
  if (!finding) {
    return;
  }
  if (index !== shown) {
    articles[shown]?.querySelector(".mount").replaceChildren();
    shown = index;
    articles.forEach((article, number) => { article.hidden = number !== index; });
    for (const link of document.querySelectorAll("nav a")) {
      link.setAttribute("aria-current", String(link.hash === `#finding-${index + 1}`));
    }
    mount(finding);
  }
  explorer?.goTo(position ?? (explorer.columns.stops()[1] ?? 0));
}

function mount(finding) {
  const place = articles[shown].querySelector(".mount");
  explorer = finding.recording ? new Explorer(finding, data.sources, moved, live ? [live.root] : []) : null;
  place.replaceChildren(...(explorer ? [explorer.root] : []));
}

/** Note a position in the address, without an entry in the history for each step, once the reader pauses. */
function moved(position) {
  clearTimeout(pause);
  pause = setTimeout(() => {
    history.replaceState(null, "", `#finding-${shown + 1}/step-${position}`);
    live?.at(data.findings[shown], position);
  }, PAUSE_MS);
}

/** Put another run into the place of the finding that is shown. */
function replace(found) {
  for (const [file, lines] of Object.entries(found.sources)) {
    data.sources[file] = { ...data.sources[file], ...lines };
  }
  data.findings[shown] = found.finding;
  const article = articles[shown];
  article.querySelector("h2").textContent = found.finding.title;
  article.querySelector(".reason-line").textContent = found.finding.message;
  mount(found.finding);
  explorer.goTo(found.finding.recording.steps.length);
}

function route() {
  const found = /^#finding-(\d+)(?:\/step-(\d+))?$/.exec(location.hash);
  const index = found ? Number(found[1]) - 1 : 0;
  show(index in data.findings ? index : 0, found?.[2] === undefined ? undefined : Number(found[2]));
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (event.altKey || event.ctrlKey || event.metaKey || isTyping || event.defaultPrevented) {
    return;
  }
  if (explorer?.key(event.key)) {
    event.preventDefault();
  }
});
document.documentElement.classList.add("scripted");
if (data.findings.length) {
  route();
}
