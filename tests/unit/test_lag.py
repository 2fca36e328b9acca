from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from meter.consumers.lag import LagHistogram

NOW_US = 1_760_000_000_000_000
NAME = "meter_publish_to_commit_seconds"
_lags_us = st.one_of(
    st.integers(-10_000_000, 10_000_000_000), st.sampled_from([0, 5_000, 60_000_000, 7_200_000_000])
)


@given(st.lists(st.lists(_lags_us, max_size=20), max_size=5))
def test_it_counts_as_the_library_does(batches: list[list[int]]) -> None:
    registry, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = LagHistogram(registry)
    reference = Histogram(
        NAME,
        "",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200),
        registry=theirs,
    )
    total_us = 0
    for lags in batches:
        histogram.observe([NOW_US - lag for lag in lags], NOW_US)
        for lag in lags:
            reference.observe(max(0, lag) / 1_000_000)
            total_us += max(0, lag)
    assert _samples(registry) == _samples(theirs)
    assert registry.get_sample_value(f"{NAME}_sum") == total_us / 1_000_000


def _samples(registry: CollectorRegistry) -> dict[tuple[str, str | None], float]:
    return {
        (sample.name, sample.labels.get("le")): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith(("_sum", "_created"))
    }
