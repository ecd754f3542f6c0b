"""The one writer. Commands wait in a queue; one thread decides, makes the kernel so, saves, and tells who waits. Those that wait
together it does together.

Rule 1: the State that readers see is replaced whole, after the save. Rule 2: whoever got an answer can rely on it: the kernel
holds it and the store has it. Rule 3: a command that fails leaves State, store and kernel as they were."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.ops import DelLink, Op, UnpinNamespace
from netrt.decide.decide import decide
from netrt.decide.lookup import find_container
from netrt.engine.alarms import Alarms
from netrt.engine.change import Change, converge, finish, planned, undo
from netrt.engine.comparison import Comparison
from netrt.engine.death import by_our_pin, check_there, dead, lost
from netrt.engine.garbage import Garbage, garbage, stale
from netrt.engine.heal import Healed, concerned, converge_or_heal, follow, heal
from netrt.engine.jobs import Job, Jobs
from netrt.engine.needed import needed
from netrt.engine.ports import Kernel, Publisher, Store
from netrt.engine.together import MOST, decide_together, housed, joins, needed_together
from netrt.errors import Conflict, Exhausted, Exists, NetrtError, Unavailable
from netrt.ipam.pools import Pools
from netrt.model.command import (
    Adjust,
    Attach,
    Collect,
    Command,
    Connect,
    Detach,
    NoteLease,
    NoteProcess,
    Reclaim,
)
from netrt.model.decision import Decision
from netrt.model.network import standing_on
from netrt.model.port import PROTOCOLS
from netrt.model.state import State
from netrt.spans import current, into, span

T = TypeVar("T")

LULL = 0.005
"""Seconds without a command after which there is time for other things: right after one, whoever asked for it is yet to be
answered, and may have more to ask."""

log = logging.getLogger("netrt.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a command: the State after it (before it, for a dry run), the id of what it made or meant, the names of what
    a prune removed, and for a dry run the plan in words."""

    state: State
    id: str
    plan: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Engine:
    """Owns the State of one host and its kernel objects, on a thread of its own."""

    def __init__(
        self, kernel: Kernel, store: Store, publisher: Publisher, pools: Pools, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._publisher = publisher
        self._pools = pools
        self._clock = clock
        self._state = State()
        self._jobs = Jobs()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._ready: Future[None] = Future()
        self._closed = False
        self._alarms = Alarms(kernel)
        self._done: list[tuple[Job, Any, float]] = []
        """What was done, what came of it, and in how many milliseconds, where that was not logged yet."""
        self.compared = 0
        """How often something was looked at because what was heard did not look right."""

    @property
    def state(self) -> State:
        """The State as of the last commit. Safe from any thread: it is never changed."""
        return self._state

    @property
    def alive(self) -> bool:
        """Whether it takes commands."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Load the State, bring the kernel to it, and begin to take commands. Raises what made that impossible."""
        self._thread.start()
        self._ready.result()

    def submit(self, command: Command, *, dry_run: bool = False) -> Future[Outcome]:
        """Ask for a command; the Future has its Outcome or its NetrtError. From any thread."""
        joining = None if dry_run else command
        return self._put(type(command).__name__, lambda: self._execute(command, dry_run=dry_run), joining)

    def rehearse(self, command: Command) -> Future[State]:
        """The State that a command would lead to, and nothing done. The Future has it or the command's NetrtError."""
        return self._put("rehearse", lambda: self._decided(command)[0].state)

    def repair(self) -> Future[Outcome]:
        """Compare everything with what should be and mend it; `plan` of the Outcome says what was done."""
        return self._put("repair", self._repair)

    def mend(self) -> Future[tuple[Healed, bool]]:
        """Mend what was broken, as far as it was heard of; and whether more happened than could be heard."""
        return self._put("mend", self._mend)

    def compare(self, comparison: Comparison) -> Future[Healed | None]:
        """Mend the next piece of the whole; None where all of it was compared."""
        return self._put("compare", lambda: self._compared(comparison))

    def reclaim(self) -> Future[Outcome]:
        """Free what containers hold whose adopted namespace is proven gone; `removed` of the Outcome are their names."""
        return self._put("reclaim", lambda: Outcome(state=self._state, id="", removed=self._reclaim()))

    def publish(self, what: Callable[[State], None]) -> Future[None]:
        """Have this done with the State as it is, between two commands."""
        return self._put("publish", lambda: what(self._state))

    def collect(self) -> Future[tuple[Garbage, ...]]:
        """Find garbage and take it away. Returns what it was."""
        return self._put("collect", self._collect)

    def look(self, ask: Callable[[Kernel, State], T]) -> Future[T]:
        """What `ask` finds out about kernel and State, between two commands. It must change neither."""
        return self._put("look", lambda: ask(self._kernel, self._state))

    def _put(self, name: str, work: Callable[[], Any], command: Command | None = None) -> Future[Any]:
        if self._closed:
            raise Unavailable("the daemon is stopping", retry=True)
        job = Job(name, work, Future(), current(), command)
        self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        """Finish what was asked so far, then end. Nothing in the kernel is taken away."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    # on the engine's thread

    def _work(self) -> None:
        try:
            self._recover()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        while (job := self._next()) is not None:
            row = self._jobs.joined(job, partial(joins, job), MOST)
            row = [each for each in row if each.answer.set_running_or_notify_cancel()]
            if len(row) == 1:
                self._answer(row[0])
                continue
            for each in self._together(row):
                self._kernel.rest(busy=True)
                self._answer(each)
        self._kernel.close()
        self._store.close()

    def _next(self) -> Job | None:
        """Whoever was just answered is not to wait for the interpreter, so what can wait does, until then or until the lull."""
        try:
            job = self._jobs.get(timeout=LULL)
        except queue.Empty:
            self._report()
            self._kernel.rest()
            return self._jobs.get()
        self._report()
        self._kernel.rest(busy=True)
        return job

    def _report(self) -> None:
        """Log what was done."""
        done, self._done = self._done, []
        for job, outcome, took in done:
            known = isinstance(outcome, Outcome)
            log.log(logging.INFO if known else logging.DEBUG,
                    "%s %s: %.1f ms", job.name, outcome.id[:12] if known else "", took)  # fmt: skip

    def _together(self, row: Sequence[Job]) -> Sequence[Job]:
        """Do these together, as far as that is possible. Returns those that are to be done one by one."""
        began = time.perf_counter()
        commands = [job.command for job in row if job.command]
        self._kernel.expect(housed(commands))
        try:
            needs = needed_together(self._state, commands)
            facts = self._kernel.facts(listeners=needs.listeners, fresh=needs.fresh, parents=needs.parents)
            joint = decide_together(self._state, commands, lambda state, command: self._joining(state, command, facts))
            if sum(decision is not None for decision in joint.each) < 2:
                return row
            self._commit(joint.whole, facts)
        except NetrtError as error:
            log.info("%d commands cannot be done together: %s", len(row), error)
            return row
        except Exception as error:
            log.exception("%d commands together failed", len(row))
            for job in row:
                job.answer.set_exception(error)
            return ()
        took = (time.perf_counter() - began) * 1000
        for job, decision in zip(row, joint.each, strict=True):
            if decision:
                outcome = Outcome(state=decision.state, id=decision.id, removed=decision.removed)
                self._done.append((job, outcome, took))
                job.answer.set_result(outcome)
        return [job for job, decision in zip(row, joint.each, strict=True) if decision is None]

    def _joining(self, state: State, command: Command, facts: HostFacts) -> Decision:
        """Raises NetrtError also where a command is to be done alone."""
        if isinstance(command, Detach) and lost(self._kernel, self._state, command.container):
            raise Conflict("its namespace is not there")
        return decide(state, by_our_pin(self._kernel, command), facts, self._clock(), self._pools)

    def _answer(self, job: Job) -> None:
        began = time.perf_counter()
        try:
            with into(job.trace), span("engine"):
                outcome = job.work()
        except NetrtError as error:
            log.info("%s refused: %s", job.name, error)
            job.answer.set_exception(error)
        except BaseException as error:
            log.exception("%s failed", job.name)
            job.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._done.append((job, outcome, (time.perf_counter() - began) * 1000))
            job.answer.set_result(outcome)

    def _recover(self) -> None:
        """Load, forget adopted containers whose namespace is gone and starts that came to nothing, and converge everything.

        After a crash there is little to do, after a reboot everything; either way it is the same plan.
        """
        self._state = self._store.load()
        self._reclaim()
        for container in [c for c in self._state.containers.values() if c.state.starting]:
            ended = NoteProcess(container=container.id, state=replace(container.state, starting=False))
            self._commit(self._decide(ended, self._kernel.facts()))
        self._expire()
        facts = self._kernel.facts(fresh=True, parents=standing_on(self._state.networks.values()))
        done = converge_or_heal(self._kernel, self._state, facts)
        for op in done:
            if isinstance(op, DelLink | UnpinNamespace):
                log.warning("of no network or container that is known: %s", op.describe())
        log.info("recovered %d networks and %d containers: %d operations",
                 len(self._state.networks), len(self._state.containers), len(done))  # fmt: skip
        self._publisher.committed(State(), self._state, ())
        self._alarms.drops()
        self._alarms.bridges(self._state)

    def _expire(self) -> None:
        """Give up addresses whose lease ended while nobody looked after it: by now they may be somebody else's."""
        now = self._clock()
        for attachment in list(self._state.attachments.values()):
            if attachment.dhcp and attachment.dhcp.expired(now):
                log.warning("the lease of %s has ended", attachment.address4)
                gone = NoteLease(container=attachment.container_id, ifname=attachment.ifname, lease=None)
                self._commit(self._decide(gone, self._kernel.facts()))

    def _reclaim(self) -> tuple[str, ...]:
        """Free what containers held whose adopted namespace is proven gone. Returns their names."""
        before = self._state
        found = dead(self._kernel, before)
        if found:
            self._commit(self._decide(Reclaim(containers=frozenset(found)), self._kernel.facts()))
        return tuple(before.containers[container_id].name for container_id in found)

    def _collect(self) -> tuple[Garbage, ...]:
        found = garbage(self._kernel, self._state)
        self._reclaim()
        converge_or_heal(self._kernel, self._state, self._kernel.facts(fresh=True))
        self._kernel.apply([UnpinNamespace(pin) for pin in stale(self._kernel, self._state)])
        return found

    def _execute(self, command: Command, *, dry_run: bool) -> Outcome:
        if isinstance(command, Collect):
            self._reclaim()
        elif isinstance(command, Detach) and lost(self._kernel, self._state, command.container):
            command = Reclaim(containers=frozenset({command.container}))
        elif isinstance(command, Connect):
            check_there(self._kernel, find_container(self._state, command.container))
        decision, facts = self._decided(command, dry_run=dry_run)
        if dry_run:
            change = Change(before=self._state, after=decision.state, touched=decision.touched, facts=facts)
            words = tuple(op.describe() for op in planned(self._kernel, change))
            return Outcome(state=self._state, id=decision.id, plan=words, removed=decision.removed)
        self._commit(decision, facts)
        return Outcome(state=self._state, id=decision.id, removed=decision.removed)

    def _decided(self, command: Command, *, dry_run: bool = False) -> tuple[Decision, HostFacts]:
        """A decision, and the facts on which it stands. Raises NetrtError."""
        facts = self._facts(command)
        try:
            return self._decide(command, facts), facts
        except (Exhausted, Exists) as error:  # Exists: by what is left of a namespace that is gone, perhaps
            stale = isinstance(error, Exhausted) or isinstance(command, Attach | Adjust)
            if dry_run or not stale or not self._reclaim():
                raise
            return self._decide(command, facts), facts
        except Conflict:  # with a process or a route of the host: read it all again, so that the message names it
            facts = self._kernel.facts(listeners=PROTOCOLS, owners=True, fresh=True)
            return self._decide(command, facts), facts

    def _decide(self, command: Command, facts: HostFacts) -> Decision:
        with span("decide"):
            return decide(self._state, by_our_pin(self._kernel, command), facts, self._clock(), self._pools)

    def _facts(self, command: Command) -> HostFacts:
        needs = needed(self._state, command)
        with span("facts"):
            return self._kernel.facts(listeners=needs.listeners, fresh=needs.fresh, parents=needs.parents)

    def _commit(self, decision: Decision, facts: HostFacts | None = None) -> None:
        before, after = self._state, decision.state
        known = facts or self._kernel.facts()
        touched = decision.touched
        last: tuple[Op, ...] = ()
        acts = bool(touched.networks or touched.containers)
        try:
            if acts:
                with span("withdraw"):
                    self._publisher.leaving(before, after)
                last = converge(self._kernel, Change(before=before, after=after, touched=touched, facts=known))
            self._saved(before, after, acts)
        except Exception:
            self._publisher.again(before)
            raise
        self._state = after
        finish(self._kernel, last)
        with span("publish"):
            self._publisher.committed(before, after, decision.events)

    def _saved(self, before: State, after: State, acts: bool) -> None:
        try:
            with span("names"):
                self._publisher.arriving(after)
            with span("store"):
                self._store.save(before, after)
        except Exception:
            if acts:
                undo(self._kernel, before, after)
            raise

    def _mend(self) -> tuple[Healed, bool]:
        heard = self._kernel.heard()
        if heard.foreign:
            self._alarms.drops()
        if heard.lost:
            log.warning("more happened on this host than could be heard: all of it is looked at")
        if heard.way:
            follow(self._kernel, self._state)
        piece = concerned(self._kernel, self._state, heard)
        if piece:
            self.compared += 1
            log.debug("heard %s: to be looked at is %s", heard, piece)
        healed = self._told(heal(self._kernel, self._state, piece))
        if heard.changed or heard.outer:
            self._alarms.bridges(self._state)
        return healed, heard.lost

    def _compared(self, comparison: Comparison) -> Healed | None:
        healed = comparison.go_on(self._kernel, self._state)
        return healed and self._told(healed)

    def _told(self, healed: Healed) -> Healed:
        if healed.done:
            log.warning("mended: %s", "; ".join(op.describe() for op in healed.done))
            self._publisher.repaired(healed.done)
        return healed

    def _repair(self) -> Outcome:
        done = converge_or_heal(self._kernel, self._state, self._kernel.facts(fresh=True))
        if done:
            self._publisher.repaired(done)
        return Outcome(state=self._state, id="", plan=tuple(op.describe() for op in done))
