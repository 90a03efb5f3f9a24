// SPDX-License-Identifier: GPL-2.0-only
// What a page that pfncache explore serves has more: the other possible steps, and the search for a run.
import { element } from "./dom.mjs";

/** Ask the server. Throws an Error with one line that says what was wrong. */
async function ask(verb, body) {
  let answer;
  try {
    answer = await fetch(`api/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("pfncache explore does not answer; is it still running?");
  }
  const found = await answer.json();
  if (!answer.ok) {
    throw new Error(found.error);
  }
  return found;
}

/** The controls of a served page. `replace` shows another finding at a position. */
export class Live {
  constructor(live, replace) {
    this.replace = replace;
    this.next = element("ul", { class: "next" });
    this.on = element("p", { class: "on", title: "until it waits, is done, has to choose, or violates a property" });
    this.message = element("p", { class: "message", role: "alert" });
    const known = element("datalist", { id: "properties" }, live.properties.map((name) => element("option", { value: name })));
    this.input = element("input", { id: "find", list: "properties", size: 32, autocomplete: "off", required: true,
      placeholder: "use-after-free, or pfncache.py:85" });
    this.button = element("button", {}, "Find");
    const form = element("form", { onsubmit: (event) => this.find(event) },
      element("label", { for: "find" }, "Find a run where this property is violated, or this line is reached:"), " ",
      this.input, known, this.button);
    this.root = element("section", { class: "live", "aria-label": "Other interleavings" },
      element("h3", {}, "What can run next"), this.next, this.on, form, this.message);
  }

  /** Show the steps that are possible after a position of a finding. */
  async at(finding, position) {
    const taken = position ? finding.recording.steps[position - 1].taken : 0;
    const schedule = finding.schedule.slice(0, taken);
    this.wanted = schedule;
    try {
      const { choices, ended } = await ask("choices", { schedule });
      if (this.wanted !== schedule) {
        return; // the reader has moved on
      }
      const buttons = choices.map((choice) => element("li", {}, element("button", {
        type: "button", class: `cpu-${choice.cpu % 4}`, onclick: () => this.walk([...schedule, [choice.cpu, choice.outcome]]),
      }, element("span", { class: "function" }, `CPU${choice.cpu}: ${choice.function}()`),
      element("span", { class: "line" }, choice.text),
      element("span", { class: "note" }, choice.note))));
      this.next.replaceChildren(...(buttons.length ? buttons : [element("li", {}, ended)]));
      const cpus = [...new Set(choices.map((choice) => choice.cpu))];
      this.on.replaceChildren(...cpus.map((cpu) => element("button", {
        type: "button", onclick: () => this.run("on", { schedule, cpu }),
      }, `Run CPU${cpu} on`)));
    } catch (error) {
      this.next.replaceChildren();
      this.on.replaceChildren();
      this.message.textContent = error.message;
    }
  }

  async walk(schedule) {
    await this.run("run", { schedule });
    this.root.querySelector(".next button")?.focus();
  }

  async find(event) {
    event.preventDefault();
    this.button.disabled = true;
    this.message.textContent = "searching …";
    await this.run("find", { what: this.input.value.trim() });
    this.button.disabled = false;
  }

  async run(verb, body) {
    try {
      const found = await ask(verb, body);
      this.message.textContent = found.note ?? "";
      if (found.finding) {
        this.replace(found);
      }
    } catch (error) {
      this.message.textContent = error.message;
    }
  }
}
