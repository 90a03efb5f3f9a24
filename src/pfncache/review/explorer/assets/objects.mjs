// SPDX-License-Identifier: GPL-2.0-only
// The structures of a state, by the part of the state that they belong to.
import { element } from "./dom.mjs";

/** Return the structures with the members that the run touches, those of caches whole; or all of them. */
export function objectTables(state, changed, all, isOpen, toggled) {
  const groups = Map.groupBy(state.recording.objects.keys(), (number) => state.recording.objects[number].group);
  return [...groups].flatMap(([group, numbers]) => {
    const rows = numbers.flatMap((number) => objectRows(state, changed, number, all));
    if (!rows.length) {
      return [];
    }
    const hasChange = numbers.some((number) => [...changed.keys()].some((key) => key.startsWith(`${number}.`)));
    const details = element("details", { open: isOpen(group), class: hasChange ? "changed" : null },
      element("summary", {}, group),
      element("table", { class: "objects" }, element("tbody", {}, rows)));
    details.addEventListener("toggle", () => toggled(group, details.open));
    return [details];
  });
}

function objectRows(state, changed, number, all) {
  const object = state.recording.objects[number];
  const whole = all || (object.group === "Caches" && state.touched[number].size > 0);
  const members = Object.keys(object.values).filter((member) => whole || state.touched[number].has(member));
  return members.map((member, index) => {
    const old = changed.get(`${number}.${member}`);
    const value = state.values[number][member];
    const isChanged = old !== undefined && old !== value;
    return element("tr", { class: isChanged ? "changed" : null },
      index ? null : element("th", { scope: "rowgroup", rowspan: members.length },
        object.name, element("span", { class: "struct" }, `struct ${object.struct}`)),
      element("td", { class: "member" }, member),
      element("td", {}, isChanged ? element("del", {}, old) : null, isChanged ? " " : null,
        isChanged ? element("ins", {}, value) : value));
  });
}
