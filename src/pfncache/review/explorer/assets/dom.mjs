// SPDX-License-Identifier: GPL-2.0-only
// Elements of the page. Text is always text: nothing is parsed as HTML.

/** Return a new element with attributes (true for an empty one, false or null for none) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      made.addEventListener(name.slice(2), value);
    } else if (name.startsWith("aria-") && value !== null) {
      made.setAttribute(name, String(value)); // "false" is a value there
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return a count with its noun: "1 step", "3 steps". */
export function counted(count, noun) {
  return `${count} ${noun}${Number(count) === 1 ? "" : "s"}`;
}
