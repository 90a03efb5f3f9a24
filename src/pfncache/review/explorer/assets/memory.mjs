// SPDX-License-Identifier: GPL-2.0-only
// The map of memory: which page a guest frame number leads to, on each of the ways, and by what each page is reached.
import { counted, element } from "./dom.mjs";

/** The objects of a state, by name and by structure. */
class Objects {
  constructor(state) {
    this.state = state;
    this.list = state.recording.objects;
    this.numbers = new Map(this.list.map((object, number) => [`${object.struct} ${object.name}`, number]));
  }

  all(struct) {
    return this.list.flatMap((object, number) => (object.struct === struct ? [number] : []));
  }

  named(struct, name) {
    return this.numbers.get(`${struct} ${name}`);
  }

  value(number, member) {
    return number === undefined ? undefined : this.state.values[number][member];
  }
}

/** A cell of the map: its text, and the members that it is made of, which mark it when they change. */
function cell(text, ...members) {
  return { text, members: members.filter(([number]) => number !== undefined) };
}

function indexOf(name) {
  return Number(/\[(\d+)\]$/.exec(name)?.[1] ?? NaN);
}

/** Return the memslot that has a gfn in the active set of a VM, or undefined. */
function slotOf(objects, vm, gfn) {
  const active = objects.value(objects.named("kvm", vm), "memslots");
  for (const entry of objects.all("memslot_entry")) {
    const slot = objects.named("kvm_memory_slot", objects.value(entry, "slot"));
    const base = Number(objects.value(slot, "base_gfn"));
    const belongs = objects.list[entry].name.startsWith(`${active}[`);
    if (belongs && slot !== undefined && gfn >= base && gfn < base + Number(objects.value(slot, "npages"))) {
      return { entry, slot, offset: gfn - base };
    }
  }
  return undefined;
}

/** Return the rows of guest memory: for each gfn its attribute, slot, user address, PTE, file page and SPTE. */
function guestRows(objects, shift) {
  return objects.all("spte").map((spte) => {
    const name = objects.list[spte].name;
    const vm = name.slice(0, name.lastIndexOf("."));
    const gfn = indexOf(name);
    const found = slotOf(objects, vm, gfn);
    const attribute = objects.named("mem_attr_entry", `${vm}.mem_attr_array[${gfn}]`);
    const isPrivate = objects.value(attribute, "private") === "true";
    const address = found && Number(objects.value(found.slot, "userspace_addr"));
    const hva = found && address ? address + (found.offset << shift) : undefined;
    const pte = objects.all("pte").find((one) => hva !== undefined && indexOf(objects.list[one].name) === hva >> shift);
    const file = found && objects.value(found.slot, "gmem_file");
    const index = found && Number(objects.value(found.slot, "gmem_pgoff")) + found.offset;
    const entry = file && file !== "NULL" ? objects.named("page_cache_entry", `${file}[${index}]`) : undefined;
    return [
      cell(`${vm === "kvm" ? "" : `${vm}: `}${gfn}`),
      cell(attribute === undefined ? "" : isPrivate ? "private" : "shared", [attribute, "private"]),
      cell(found ? objects.list[found.slot].name : "no slot", [found?.entry, "slot"], [objects.named("kvm", vm), "memslots"]),
      cell(hva === undefined ? "" : `0x${hva.toString(16)}`),
      cell(pte === undefined ? "" : objects.value(pte, "pfn"), [pte, "pfn"]),
      cell(entry === undefined ? "" : objects.value(entry, "page"), [entry, "page"]),
      cell(objects.value(spte, "pfn"), [spte, "pfn"]),
    ];
  });
}

/** Return the rows of pages: what each is, and every way on which it can be reached. */
function pageRows(objects) {
  return objects.all("page").map((page) => {
    const pfn = objects.value(page, "pfn");
    const isFree = objects.value(page, "free") === "true";
    const ways = [];
    const way = (text, ...members) => ways.push(cell(text, ...members));
    const entries = [["pte", "PTE"], ["spte", "SPTE"], ["vmap_area", "vmap"]];
    for (const [struct, label] of entries) {
      for (const one of objects.all(struct)) {
        if (objects.value(one, "pfn") === pfn) {
          way(`${label} ${objects.list[one].name}`, [one, "pfn"]);
        }
      }
    }
    for (const cache of objects.all("gfn_to_pfn_cache")) {
      const [active, valid, khva] = ["active", "valid", "khva"].map((member) => objects.value(cache, member));
      if (objects.value(cache, "pfn") === pfn && (active !== "false" || valid === "true")) {
        const word = valid === "true" ? "valid" : "not valid";
        const address = khva && khva !== "0" ? `, khva ${khva}` : "";
        way(`cache ${objects.list[cache].name} (${word}${address})`, [cache, "pfn"], [cache, "valid"], [cache, "khva"]);
      }
    }
    for (const entry of objects.all("page_cache_entry")) {
      if (objects.value(entry, "page") === objects.list[page].name) {
        way(`file ${objects.list[entry].name}`, [entry, "page"]);
      }
    }
    const direct = objects.value(page, "direct_map") === "true";
    return {
      isStale: isFree && ways.some((one) => !one.text.includes("not valid")),
      cells: [
        cell(pfn),
        cell(isFree ? "free" : counted(objects.value(page, "refcount"), "reference"), [page, "free"], [page, "refcount"]),
        cell(direct ? "mapped" : "not mapped", [page, "direct_map"]),
      ],
      ways,
    };
  });
}

function drawn(one, changed, tag = "td") {
  const isChanged = one.members.some(([number, member]) => changed.has(`${number}.${member}`));
  return element(tag, { class: isChanged ? "changed" : null }, one.text ?? "");
}

function table(caption, heads, rows) {
  const head = element("tr", {}, heads.map((text) => element("th", { scope: "col" }, text)));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", { class: "map" }, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, rows)));
}

/** Return the map of memory in a state. */
export function memoryMap(state, changed) {
  const objects = new Objects(state);
  const guest = guestRows(objects, state.recording.page_shift).map((cells) =>
    element("tr", {}, cells.map((one, number) => drawn(one, changed, number ? "td" : "th"))));
  const pages = pageRows(objects).map(({ isStale, cells, ways }) =>
    element("tr", { class: isStale ? "stale" : null }, cells.map((one, number) => drawn(one, changed, number ? "td" : "th")),
      element("td", {}, element("ul", {}, ways.map((one) => drawn(one, changed, "li"))))));
  return [
    table("Guest memory", ["gfn", "attribute", "slot", "hva", "PTE's pfn", "file's page", "SPTE's pfn"], guest),
    table("Pages", ["pfn", "state", "direct map", "reached by"], pages),
  ];
}
