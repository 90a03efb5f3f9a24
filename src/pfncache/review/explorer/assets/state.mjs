// SPDX-License-Identifier: GPL-2.0-only
// The state at a step: the values before the first one, and the changes since.

/** The state of a recording at one position, from 0 (before the first step) to the number of steps. */
export class State {
  constructor(recording) {
    this.recording = recording;
    this.position = 0;
    this.values = recording.objects.map((object) => ({ ...object.values }));
    this.touched = recording.objects.map(() => new Set());
    for (const step of recording.steps) {
      for (const change of [...step.changes, ...step.reads]) {
        this.touched[change.object].add(change.member);
      }
    }
  }

  /** Go to a position: forward by the new values of each step, backward by the old ones. */
  goTo(position) {
    while (this.position < position) {
      for (const change of this.recording.steps[this.position].changes) {
        this.values[change.object][change.member] = change.new;
      }
      this.position += 1;
    }
    while (this.position > position) {
      this.position -= 1;
      for (const change of this.recording.steps[this.position].changes.toReversed()) {
        this.values[change.object][change.member] = change.old;
      }
    }
  }

  /** Return what the last step has changed: by "object.member", the value before it. */
  changed() {
    const found = new Map();
    const step = this.position > 0 ? this.recording.steps[this.position - 1] : null;
    for (const change of step ? step.changes : []) {
      const key = `${change.object}.${change.member}`;
      if (!found.has(key)) {
        found.set(key, change.old);
      }
    }
    return found;
  }
}

/** Return a change as a kernel developer would write it. */
export function changeText(recording, change) {
  const name = `${recording.objects[change.object].name}.${change.member}`;
  return change.old === change.new ? `${name} is ${change.new}` : `${name}: ${change.old} → ${change.new}`;
}

/** Return the texts of what a step changes, each member once, or of what it reads. */
export function stepNotes(recording, step) {
  const merged = new Map();
  for (const change of step.changes) {
    const key = `${change.object}.${change.member}`;
    const first = merged.get(key);
    merged.set(key, first ? { ...change, old: first.old } : change);
  }
  const changes = [...merged.values()].filter((change) => change.old !== change.new);
  return [...changes, ...step.reads].map((change) => changeText(recording, change)).concat(step.notes ?? []);
}
