"""What an observer was told, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deskstore.adapters.otel import OpenTelemetry


class Seen:
    """An observer, and all that it was told."""

    def __init__(self) -> None:
        self._spans: Final = InMemorySpanExporter()
        self._metrics: Final = InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer: Final = tracers.get_tracer("an application")
        self.observer: Final = OpenTelemetry(tracers=tracers, meters=MeterProvider([self._metrics], shutdown_on_exit=False))

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """All spans that ended, or those of one name, in the order in which they ended."""
        return [span for span in self._spans.get_finished_spans() if name in (None, span.name)]

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        (found,) = self.spans(name)
        return found

    def within(self, outer: ReadableSpan) -> list[str]:
        """The names of the spans whose parent is that one."""
        return [span.name for span in self.spans() if span.parent and outer.context and span.parent.span_id == outer.context.span_id]

    def points(self) -> Iterator[tuple[str, Mapping[str, object], float]]:
        """Each metric by its name and attributes; of a duration, how many there were."""
        data = self._metrics.get_metrics_data()
        for metric in (one for of in data.resource_metrics for scope in of.scope_metrics for one in scope.metrics) if data else ():
            for point in metric.data.data_points:
                if isinstance(point, HistogramDataPoint):
                    yield metric.name, point.attributes or {}, point.count
                elif isinstance(point, NumberDataPoint):
                    yield metric.name, point.attributes or {}, point.value

    def metric(self, name: str, **attributes: object) -> float:
        """The sum of a metric over all points that have these attributes; `.` is written `_`."""
        wanted = {key.replace("_type", ".type"): value for key, value in attributes.items()}
        return sum(value for found, told, value in self.points() if found == name and wanted.items() <= told.items())

    def everything(self) -> str:
        """All that could be read of it by whoever gets it, as one text."""
        spans = [span.to_json() for span in self.spans()]
        return "\n".join([*spans, *map(str, self.points())])


def told(span: ReadableSpan) -> dict[str, object]:
    """What a span says, with the prefix left out."""
    return {name.removeprefix("deskstore."): value for name, value in (span.attributes or {}).items()}
