"""What is counted while the daemon runs, as Prometheus reads it. The library that writes its format is imported when somebody
asks: counting needs none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from netrt.dataplane.ops import Op
from netrt.engine.heal import KINDS, kinds
from netrt.model.state import State


class Counts:
    """Changed by one thread each, read by any: `repairs` by kind, by the engine; `failed` attempts and `full` comparisons with
    the `seconds` that the last one took, by the event loop."""

    def __init__(self) -> None:
        self.repairs = Counter(dict.fromkeys(KINDS.values(), 0))
        self.failed = 0
        self.full = 0
        self.seconds = 0.0

    def repaired(self, done: Iterable[Op]) -> None:
        """Count each kind of thing that was mended."""
        self.repairs.update(kinds(done))

    def compared(self, seconds: float) -> None:
        """Count a full comparison."""
        self.full += 1
        self.seconds = seconds


def exposition(state: State, counts: Counts, compared: int, dropping: Iterable[tuple[str, str]], unfreed: int) -> bytes:
    """All figures in Prometheus' text format. `compared`: how often something was looked at because it may be broken; `dropping`
    are (table, chain) of others that drop what no rule of theirs accepts; `unfreed` deletions the kernel has yet to end."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

    class Figures:
        def collect(self) -> Iterator[Metric]:
            repairs = CounterMetricFamily(
                "netrt_repairs", "Things of ours that others broke, and that were mended", labels=["kind"]
            )
            for kind, number in sorted(counts.repairs.items()):
                repairs.add_metric([kind], number)
            yield repairs
            yield CounterMetricFamily("netrt_repairs_failed", "Attempts to mend that failed", value=counts.failed)
            yield CounterMetricFamily(
                "netrt_comparisons", "Comparisons because something may be broken", value=compared
            )
            yield CounterMetricFamily("netrt_full_comparisons", "Slow comparisons of everything", value=counts.full)
            yield GaugeMetricFamily(
                "netrt_full_comparison_seconds", "How long the last of them took, rests included", value=counts.seconds
            )
            foreign = GaugeMetricFamily(
                "netrt_foreign_drop_policy",
                "Chains of others that may drop what containers send",
                labels=["table", "chain"],
            )
            for table, chain in dropping:
                foreign.add_metric([table, chain], 1)
            yield foreign
            yield GaugeMetricFamily(
                "netrt_deletions_unfreed",
                "Deletions of links that are gone, whose memory is not free yet",
                value=unfreed,
            )
            yield GaugeMetricFamily("netrt_networks", "Networks", value=len(state.networks))
            yield GaugeMetricFamily("netrt_containers", "Containers", value=len(state.containers))
            yield GaugeMetricFamily("netrt_attachments", "Interfaces on networks", value=len(state.attachments))

    registry = CollectorRegistry()
    registry.register(Figures())
    return generate_latest(registry)
