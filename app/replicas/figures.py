"""The figures of several processes as one text for Prometheus."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


def together(server: bytes, replicas: Mapping[str, bytes]) -> bytes:
    """The server's figures as they are, each replica's with a label `replica` that has its id."""
    return generate_latest(_Together(server, replicas))


class _Together(Collector):
    def __init__(self, server: bytes, replicas: Mapping[str, bytes]) -> None:
        self._server, self._replicas = server, replicas

    def collect(self) -> Iterable[Metric]:
        families = {family.name: family for family in _families(self._server)}
        for id, text in self._replicas.items():
            for family in _families(text):
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "replica": id}
                    whole.add_sample(sample.name, labels, sample.value)
        return families.values()


def _families(text: bytes) -> Iterator[Metric]:
    yield from text_string_to_metric_families(text.decode())
