"""
Spans and metrics by OpenTelemetry: what is told by an observed storage, given to whatever tracer and meter the process has.

docs/reference/telemetry.md names each of them. A span tells the company; a metric does not, since there may be any number of companies, and
each would be a series of its own. An error is told by its class: its message names records.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import cache
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.context import attach, detach
from opentelemetry.metrics import Observation
from opentelemetry.trace import Status, StatusCode

from deskstore.domain.observing import Fact, Figures, Operation, Sight, Sort

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

SCOPE: Final = "deskstore"  #: of all spans and metrics
BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
RECORDS: Final = {
    Sort.STORAGE: ("created", "updated", "deleted"),
    Sort.USE_CASE: ("unchanged", "stale", "suppressed", "rejected"),  # only the report of a use case tells what was not written
}
CLAIMS: Final = ("taken", "completed", "failed", "released", "renewed", "lost")

Attributes = dict[str, str | int | float | bool]


class Figure(NamedTuple):
    """How a figure of a storage is shown as a metric."""

    metric: str
    unit: str
    description: str
    attributes: Attributes
    is_total: bool = False  #: it only ever grows; what a closed storage counted stays counted
    is_worst: bool = False  #: of several storages the highest counts, and not all together


FIGURES: Final[Mapping[str, Figure]] = {
    "pool.in_use": Figure("deskstore.pool.in_use", "{connection}", "Connections to PostgreSQL that are used, or waited for", {}),
    "pool.limit": Figure("deskstore.pool.limit", "{connection}", "Connections to PostgreSQL that may be open", {}),
    "retries": Figure("deskstore.retries", "{retry}", "Units and reads tried again: lost connections, locks, deadlocks", {}, is_total=True),
    **{
        f"cache.{result}": Figure("deskstore.cache.values", "{value}", "Values asked of the cache", {"result": result}, is_total=True)
        for result in ("hits", "misses", "bypasses", "errors")
    },
    "mirror.waiting": Figure("deskstore.mirror.waiting", "{company}", "Companies whose mirror is to be given what was written here", {}),
    "mirror.lag_s": Figure("deskstore.mirror.lag", "s", "For how long the one has waited that waits longest", {}, is_worst=True),
    "mirror.is_down": Figure("deskstore.mirror.down", "1", "1 while the last try to reach a mirror failed", {}, is_worst=True),
}


class OpenTelemetry:
    """
    An observer that makes spans and metrics.

    Args:
        tracers: Where spans go; None: where those of the process go.
        meters: The same for metrics. Make one observer for each: two of them would count the same.
    """

    def __init__(self, *, tracers: TracerProvider | None = None, meters: MeterProvider | None = None) -> None:
        self._tracer: Final = trace.get_tracer(SCOPE, tracer_provider=tracers)
        meter = metrics.get_meter(SCOPE, meter_provider=meters)
        self._durations: Final = {
            sort: meter.create_histogram(f"deskstore.{sort}.duration", "s", said, explicit_bucket_boundaries_advisory=BUCKETS_S)
            for sort, said in _DURATIONS.items()
        }
        self._rows: Final = meter.create_counter("deskstore.rows", "{row}", "Rows read and written")
        self._records: Final = meter.create_counter("deskstore.records", "{record}", "What became of tickets and articles")
        self._claims: Final = meter.create_counter("deskstore.claims", "{claim}", "What became of claims")
        self._watched: Final = _Watched()
        for one in {one.metric: one for one in FIGURES.values()}.values():
            make = meter.create_observable_counter if one.is_total else meter.create_observable_gauge
            make(one.metric, [self._watched.callback(one.metric)], one.unit, one.description)

    def operation(self, operation: Operation, *, within: Sight | None = None, is_current: bool = True) -> AbstractContextManager[Sight]:
        """Watch an operation for as long as the block lasts."""
        context = trace.set_span_in_context(within.span) if isinstance(within, _Watching) else None
        return _Watching(self, operation, context, is_current=is_current)

    def watch(self, figures: Callable[[], Figures]) -> Callable[[], None]:
        """Look at these figures whenever metrics are collected."""
        return self._watched.add(figures)

    def begun(self, operation: Operation, context: Context | None) -> Span:
        """The span of an operation that begins."""
        attributes: Attributes = {"deskstore.adapter": operation.adapter}
        if operation.company_id is not None:
            attributes["deskstore.company_id"] = operation.company_id
        return self._tracer.start_span(_name(operation), context, attributes=attributes)

    def count(self, operation: Operation, facts: Mapping[str, Fact], attributes: Attributes, duration_s: float) -> None:
        """Count an operation that ended, and what it told."""
        where: Attributes = {"adapter": operation.adapter}
        self._durations[operation.sort].record(duration_s, {**where, **attributes, "operation": operation.name})
        if operation.sort is Sort.STORAGE and (rows := facts.get("rows")):
            self._rows.add(float(rows), {**where, "operation": operation.name})
        if operation.is_side:
            return
        for counter, outcomes in ((self._records, RECORDS.get(operation.sort, ())), (self._claims, _claims(operation))):
            for outcome in outcomes:
                if number := facts.get(outcome):
                    counter.add(float(number), {**where, "outcome": outcome})


_DURATIONS: Final = {
    Sort.USE_CASE: "How long use cases took, by name",
    Sort.BATCH: "How long the units of work took of use cases that take many",
    Sort.CLAIM: "How long workers had tickets in their hands",
    Sort.STORAGE: "How long operations of storages took",
}


@cache
def of_this_process() -> OpenTelemetry:
    """The one observer over the tracer and the meter that this process has."""
    return OpenTelemetry()


def _name(operation: Operation) -> str:
    match operation.sort:
        case Sort.USE_CASE | Sort.CLAIM:
            return f"deskstore.{operation.name}"
        case Sort.BATCH:
            return f"deskstore.{operation.name}.batch"
        case Sort.STORAGE:
            return f"deskstore.storage.{operation.name}"


def _claims(operation: Operation) -> Sequence[str]:
    return CLAIMS if operation.sort is Sort.STORAGE else ()


class _Watching:
    """One operation on its way: a span, and what is counted at its end."""

    def __init__(self, observer: OpenTelemetry, operation: Operation, context: Context | None, *, is_current: bool) -> None:
        self._observer: Final = observer
        self._operation: Final = operation
        self._context: Final = context
        self._is_current: Final = is_current
        self._facts: Final[dict[str, Fact]] = {}
        self._attributes: Final[Attributes] = {}
        self._began_s = 0.0
        self._attached: Token[Context] | None = None
        self.span: Span = trace.INVALID_SPAN

    def __enter__(self) -> Sight:
        self._began_s = perf_counter()
        self.span = self._observer.begun(self._operation, self._context)
        if self._is_current:
            self._attached = attach(trace.set_span_in_context(self.span))
        return self

    def tell(self, facts: Mapping[str, Fact], *, platform: str | None = None) -> None:
        """Note what is known of it by now."""
        self._facts.update(facts)
        if platform is not None:
            self._attributes["platform"] = platform
            self.span.set_attribute("deskstore.platform", platform)
        for name, fact in facts.items():
            self.span.set_attribute(f"deskstore.{name}", fact.value if isinstance(fact, StrEnum) else fact)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        if self._attached is not None:
            detach(self._attached)
        if kind is not None and kind is not GeneratorExit:  # who reads a part of a stream has all it wants
            self._attributes["error.type"] = kind.__qualname__
            self.span.set_attribute("error.type", kind.__qualname__)
            if issubclass(kind, Exception):  # a cancellation is none
                self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()
        self._observer.count(self._operation, self._facts, self._attributes, perf_counter() - self._began_s)


class _Watched:
    """The storages whose figures are looked at, and what those counted that were closed."""

    def __init__(self) -> None:
        self._lock: Final = Lock()
        self._open: Final[dict[object, Callable[[], Figures]]] = {}
        self._past: Final = Counter[str]()

    def add(self, figures: Callable[[], Figures]) -> Callable[[], None]:
        """Look at these figures until what is given back is called."""
        key = object()
        with self._lock:
            self._open[key] = figures

        def stop() -> None:
            with self._lock:
                if self._open.pop(key, None) is not None:
                    self._past.update({name: int(value) for name, value in figures().items() if name in FIGURES and FIGURES[name].is_total})

        return stop

    def callback(self, metric: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """What gives the numbers of one metric."""
        shown = {name: figure for name, figure in FIGURES.items() if figure.metric == metric}

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                found = [figures() for figures in self._open.values()]
            for name, figure in shown.items():
                values = [one[name] for one in found if name in one] + ([self._past[name]] if name in self._past else [])
                if values:
                    yield Observation(max(values) if figure.is_worst else sum(values), figure.attributes)

        return observe


class TraceIds(logging.Filter):
    """Notes in each line of the log the span that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return True
