// SPDX-License-Identifier: GPL-2.0-only
// The source beside a step: the call stack, and the lines around the one of a call.
import { element } from "./dom.mjs";

const AROUND = 9; // lines shown before and after the line

/** Return the lines of a file around one, as far as the page has them. */
function listing(lines, line) {
  const rows = [];
  for (let number = line - AROUND; number <= line + AROUND; number += 1) {
    const tokens = lines?.[number];
    if (tokens === undefined) {
      continue;
    }
    const text = element("code", {});
    for (let i = 0; i < tokens.length; i += 2) {
      text.append(tokens[i] ? element("span", { class: `t-${tokens[i]}` }, tokens[i + 1]) : tokens[i + 1]);
    }
    const isThis = number === line;
    rows.push(element("li", { value: number, class: isThis ? "here" : null, "aria-current": isThis ? "location" : null }, text));
  }
  return element("ol", { class: "source" }, rows);
}

/** Return the pane of a step's source; `frame` is the index of the chosen call, and choose() chooses another. */
export function sourcePane(sources, recording, step, frame, choose) {
  const calls = step.stack.map((number) => recording.calls[number]);
  const call = calls[frame];
  const stack = calls.map(({ function: name, file, line }, number) =>
    element("li", {}, element("button", {
      type: "button", "aria-pressed": number === frame, onclick: () => choose(number), title: `${file}:${line}`,
    }, `${name || "(set-up)"}()`)));
  return [
    element("h3", {}, `${call.file}:${call.line}`),
    element("ol", { class: "stack", "aria-label": "Call stack, outermost first" }, stack),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${call.file}, line ${call.line}` },
      listing(sources[call.file], call.line)),
  ];
}
