// SPDX-License-Identifier: GPL-2.0-only
// The interleaving: one column per CPU, in the order of time. Steps that do not matter are folded.
import { counted, element } from "./dom.mjs";
import { stepNotes } from "./state.mjs";

/** The table of steps. */
export class Columns {
  constructor(finding, choose) {
    this.finding = finding;
    this.recording = finding.recording;
    this.choose = choose;
    this.unfolded = new Set(); // first steps of the folds that are open
    this.all = false;
    this.current = 0;
    this.body = element("tbody", {});
    const heads = this.recording.actors.map((name, cpu) => element("th", { scope: "col" }, `CPU${cpu}: ${name}`));
    this.table = element("table", { class: `steps cpus-${heads.length}` },
      element("caption", { class: "hidden" }, "The interleaving, one column per CPU"),
      element("thead", {}, element("tr", {}, heads)), this.body);
    this.draw();
  }

  /** Return the runs of steps: [first, end, is folded]. */
  runs() {
    const { steps } = this.recording;
    const found = [];
    for (let first = 0, end; first < steps.length; first = end) {
      end = first + 1;
      while (end < steps.length && steps[end].matters === steps[first].matters) {
        end += 1;
      }
      found.push([first, end, !steps[first].matters && !this.all && !this.unfolded.has(first)]);
    }
    return found;
  }

  /** Return the positions to which Next and Previous go, in order; 0 is the start. */
  stops() {
    return [0, ...this.runs().flatMap(([first, end, folded]) =>
      folded ? [] : Array.from({ length: end - first }, (_, i) => first + i + 1))];
  }

  /** Unfold the run that has a position. */
  reveal(position) {
    const run = this.runs().find(([first, end, folded]) => folded && position > first && position <= end);
    if (run) {
      this.unfolded.add(run[0]);
      this.draw();
    }
  }

  showAll(all) {
    this.all = all;
    this.unfolded.clear();
    this.draw();
  }

  get foldable() {
    return this.recording.steps.filter((step) => !step.matters).length;
  }

  draw() {
    this.buttons = new Map();
    const rows = this.runs().flatMap(([first, end, folded]) => folded ? [this.fold(first, end)] :
      this.recording.steps.slice(first, end).map((step, i) => this.row(step, first + i + 1, first + i)));
    this.body.replaceChildren(...rows);
    this.mark(this.current);
  }

  fold(first, end) {
    const text = `⋯ ${counted(end - first, "step")} that the violation does not depend on`;
    const open = () => {
      this.unfolded.add(first);
      this.draw();
      this.choose(first + 1);
    };
    return element("tr", { class: "fold" }, element("td", { colspan: this.recording.actors.length },
      element("button", { type: "button", "aria-expanded": false, onclick: open }, text)));
  }

  row(step, position, index) {
    const before = index > 0 ? this.recording.steps[index - 1] : null;
    const call = this.recording.calls[step.stack[step.shown]];
    const old = before ? this.recording.calls[before.stack[before.shown]] : null;
    const isTurn = !before || before.cpu !== step.cpu;
    const enters = isTurn || old.function !== call.function;
    const notes = stepNotes(this.recording, step);
    const button = element("button", { type: "button", tabindex: -1, onclick: () => this.choose(position) },
      element("span", { class: "number" }, String(position)),
      enters ? element("span", { class: "function" }, `${call.function}()`) : null,
      element("span", { class: "line" }, call.text),
      notes.map((text) => element("span", { class: "note" }, text)));
    this.buttons.set(position, button);
    const cells = this.recording.actors.map((name, cpu) => cpu === step.cpu
      ? element("td", { "data-cpu": isTurn ? `CPU${cpu}: ${name}` : null, class: `cpu-${cpu % 4}` }, button)
      : element("td", { class: "empty" }));
    const isLoop = this.recording.loop === index;
    return element("tr", { class: `${step.matters ? "" : "minor"} ${isLoop ? "loop" : ""}` }, cells);
  }

  /** Mark the step at a position as the current one. */
  mark(position) {
    const old = this.buttons.get(this.current);
    old?.removeAttribute("aria-current");
    old?.setAttribute("tabindex", "-1");
    this.current = position;
    const button = this.buttons.get(position);
    button?.setAttribute("aria-current", "step");
    (button ?? this.buttons.values().next().value)?.setAttribute("tabindex", "0");
    button?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
