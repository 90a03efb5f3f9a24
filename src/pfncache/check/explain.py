# SPDX-License-Identifier: GPL-2.0-only
"""What a search found, in words: the reasons that reports and traces print."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfncache.check.ir import Event
from pfncache.check.ops import Op
from pfncache.check.program.image import ACCESS_SHIFT, ACCESS_WORD, CODE, INSTR, INSTR_OP
from pfncache.check.program.layout import Program

State = NDArray[np.uint64]


def actor_name(program: Program, actor: int) -> str:
    """Return the name of an actor."""
    return program.compiled.system.actors[actor].name


def event_of(program: Program, state: State, actor: int) -> Event | None:
    """Return the preemption point at which an actor stands; None at its start and its end."""
    return program.events[actor][program.counter(state, actor)]


def deadlock(program: Program, state: State) -> str:
    """Explain a deadlock: where each actor that has not ended is blocked.

    An atomic function that an actor calls directly has no caller whose name could be given.
    """
    events = ((actor_name(program, actor), event_of(program, state, actor)) for actor in range(program.actors))
    places = [(name, event.stack[-1].function) for name, event in events if event is not None]
    blocked = [f"{name} in {function}()" if function else name for name, function in places]
    return f"no actor can take a step: {', '.join(blocked)}"


def starvation(program: Program, along: Sequence[State]) -> str:
    """Explain a livelock: for each starved actor, the innermost function that it never returns from.

    `along` are the states of a strongly fair cycle. An environment actor loops forever by design, and does not starve.
    """
    starved = []
    for number, actor in enumerate(program.compiled.system.actors):
        stacks = [event.stack for event in (event_of(program, state, number) for state in along) if event is not None]
        if stacks and not actor.endless:
            levels = zip(*([place.function for place in stack] for stack in stacks), strict=False)
            *_, (innermost, *_) = itertools.takewhile(lambda names: len(set(names)) == 1, levels)
            starved.append(f"{actor.name} never returns from {innermost}()")
    return f"starvation under a strongly fair scheduler: {', '.join(starved)}"


def endless_step(program: Program, state: State, actor: int) -> str:
    """Explain a livelock within one step: a loop that has no preemption point."""
    if actor < 0:
        return "the check when all is done loops forever"
    event = event_of(program, state, actor)
    place = f"after {event.stack[-1].function}()" if event is not None else "from its start"
    return f"{actor_name(program, actor)} loops forever {place}, without an access that other actors can see"


def out_of_range(program: Program, offset: int) -> str:
    """Explain a value that the type of its variable does not have, from the offset of the store in the image."""
    image = program.image
    code = int(image[CODE])
    start = code + (offset - code) // INSTR * INSTR
    row = image[start : start + INSTR].tolist()
    stored = row[ACCESS_WORD], row[ACCESS_SHIFT]
    place = "a local variable or an array"
    if row[INSTR_OP] == Op.STORE:
        names = (program.compiled.heap.text(v) for v, s in program.slots.items() if (s.word, s.shift) == stored)
        place = next(names, place)
    return f"a value out of the range of its type: {place}"
