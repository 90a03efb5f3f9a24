// SPDX-License-Identifier: GPL-2.0-only
// The explorer of one finding: its columns, and the source and the state beside the current step.
import { Columns } from "./columns.mjs";
import { element } from "./dom.mjs";
import { memoryMap } from "./memory.mjs";
import { objectTables } from "./objects.mjs";
import { sourcePane } from "./source.mjs";
import { State, stepNotes } from "./state.mjs";

const OPEN_GROUPS = ["Caches", "VM and vCPUs", "Locks"];

export class Explorer {
  /** `moved` gets each position that is gone to; `extra` are elements above the columns. */
  constructor(finding, sources, moved, extra = []) {
    this.finding = finding;
    this.recording = finding.recording;
    this.sources = sources;
    this.moved = moved;
    this.state = new State(this.recording);
    this.position = 0;
    this.open = new Set(OPEN_GROUPS);
    this.members = false; // all members, not those that the run touches
    this.columns = new Columns(finding, (position) => this.goTo(position, true));
    this.status = element("p", { class: "status", role: "status", "aria-live": "polite", "aria-atomic": true });
    this.source = element("section", { class: "pane source-pane", "aria-label": "Source" });
    this.map = element("section", { class: "pane map-pane", "aria-label": "Map of memory" });
    this.objects = element("section", { class: "pane state-pane", "aria-label": "State" });
    const hasState = this.recording.objects.length > 0;
    this.root = element("div", { class: "explorer", role: "group", "aria-label": "Explorer of the interleaving" },
      this.toolbar(), this.status, ...extra,
      element("div", { class: "panes" },
        element("section", { class: "pane steps-pane", "aria-label": "Interleaving" }, this.columns.table,
          element("p", { class: "reason" }, `⇒ ${finding.message}`)),
        element("div", { class: "beside" }, this.source, hasState ? this.map : null, hasState ? this.objects : null)));
  }

  toolbar() {
    const button = (label, key, action) => element("button", { type: "button", onclick: action, title: `key: ${key}`, "aria-keyshortcuts": key }, label);
    this.all = element("input", { type: "checkbox", onchange: () => this.showAll(this.all.checked) });
    return element("div", { class: "toolbar", role: "toolbar", "aria-label": "Steps" },
      button("First", "Home", () => this.goTo(0)),
      button("◀ Previous", "ArrowLeft", () => this.move(-1)),
      button("Next ▶", "ArrowRight", () => this.move(1)),
      button("Last", "End", () => this.goTo(this.recording.steps.length)),
      this.columns.foldable ? element("label", {}, this.all, `all ${this.recording.steps.length} steps`) : null);
  }

  /** Handle a key; return whether it is one of the explorer's. */
  key(name) {
    const actions = {
      ArrowRight: () => this.move(1), j: () => this.move(1),
      ArrowLeft: () => this.move(-1), k: () => this.move(-1),
      Home: () => this.goTo(0), End: () => this.goTo(this.recording.steps.length),
      a: () => this.showAll(!this.columns.all),
    };
    if (!(name in actions)) {
      return false;
    }
    const had = this.columns.table.contains(document.activeElement);
    actions[name]();
    if (had) {
      this.columns.buttons.get(this.position)?.focus({ preventScroll: true });
    }
    return true;
  }

  showAll(all) {
    this.all.checked = all;
    this.columns.showAll(all);
    this.goTo(this.position);
  }

  /** Go to the next step that is shown, or the one before. */
  move(by) {
    const stops = this.columns.stops();
    const next = by > 0 ? stops.find((one) => one > this.position) : stops.findLast((one) => one < this.position);
    if (next !== undefined) {
      this.goTo(next);
    }
  }

  /** Go to a position: 0 is before the first step. */
  goTo(position, focus = false) {
    this.position = Math.max(0, Math.min(position, this.recording.steps.length));
    this.columns.reveal(this.position);
    this.columns.mark(this.position);
    if (focus) {
      this.columns.buttons.get(this.position)?.focus({ preventScroll: true });
    }
    this.state.goTo(this.position);
    const step = this.position ? this.recording.steps[this.position - 1] : null;
    this.frame = step ? step.shown : 0;
    this.drawSource(step);
    this.drawState();
    this.status.replaceChildren(this.sentence(step));
    this.moved(this.position);
  }

  /** Return the step in words, which a screen reader reads. */
  sentence(step) {
    const { steps, actors } = this.recording;
    if (!step) {
      return `Start, before step 1 of ${steps.length}`;
    }
    const call = this.recording.calls[step.stack[step.shown]];
    const notes = stepNotes(this.recording, step);
    const end = this.position === steps.length ? ` ⇒ ${this.finding.message}` : "";
    const what = notes.length ? `: ${notes.join("; ")}` : "";
    return `Step ${this.position} of ${steps.length}, CPU${step.cpu} (${actors[step.cpu]}), ${call.function}(), ${call.file}:${call.line}${what}${end}`;
  }

  drawSource(step) {
    const choose = (frame) => {
      this.frame = frame;
      this.drawSource(step);
      this.source.querySelector("[aria-pressed=true]")?.focus();
    };
    const content = step ? sourcePane(this.sources, this.recording, step, this.frame, choose)
      : [element("p", {}, "The source of each step is shown here.")];
    this.source.replaceChildren(...content);
    const list = this.source.querySelector(".scroll");
    const here = this.source.querySelector(".here");
    if (list && here) {
      list.scrollTop = here.offsetTop - list.clientHeight / 2;
    }
  }

  drawState() {
    if (!this.recording.objects.length) {
      return;
    }
    const changed = this.state.changed();
    this.map.replaceChildren(...memoryMap(this.state, changed));
    const toggled = (group, isOpen) => this.open[isOpen ? "add" : "delete"](group);
    const box = element("input", { type: "checkbox" });
    box.checked = this.members;
    box.addEventListener("change", () => {
      this.members = box.checked;
      this.drawState();
    });
    this.objects.replaceChildren(
      element("label", {}, box, "also what the run does not touch"),
      ...objectTables(this.state, changed, this.members, (group) => this.open.has(group), toggled));
  }
}
