"""Figures of the requests themselves: how many, how long, how large, and which were refused."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ANSWER_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REASONS = {401: "key", 403: "right", 413: "body", 421: "host", 429: "rate"}
REFUSALS = (*REASONS.values(), "origin")


class HttpFigures:
    """Labels have few values, whatever is asked for: templates of paths, methods that exist."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sidelight_http_requests",
            "Requests that were answered; status 0 for none.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "sidelight_http_request_duration_seconds",
            "From a request until the end of its answer, a stream's too.",
            ["route"],
            buckets=ANSWER_S,
            registry=registry,
        )
        self._in_progress = Gauge(
            "sidelight_http_requests_in_progress",
            "Requests that are being answered.",
            registry=registry,
        )
        self._received = Counter(
            "sidelight_http_request_bytes", "Read of requests' bodies.", registry=registry
        )
        self._sent = Counter(
            "sidelight_http_response_bytes", "Sent of answers' bodies.", registry=registry
        )
        self._refused = Counter(
            "sidelight_http_refused",
            "Requests that were turned away.",
            ["reason"],
            registry=registry,
        )
        for reason in REFUSALS:
            self._refused.labels(reason)  # a counter that is not there yet cannot be watched

    def begin(self) -> None:
        """A request has come."""
        self._in_progress.inc()

    def end(
        self,
        method: str,
        route: str,
        status: int,
        code: str | None,
        seconds: float,
        sizes: tuple[int, int],
    ) -> None:
        """It is over; `sizes` are the bytes that came and those that went."""
        self._in_progress.dec()
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(route).observe(seconds)
        self._received.inc(sizes[0])
        self._sent.inc(sizes[1])
        if reason := refusal(status, code):
            self._refused.labels(reason).inc()


def refusal(status: int, code: str | None) -> str | None:
    """Why an answer of that status and code turns somebody away, if it does."""
    return "origin" if code == "foreign_page" else REASONS.get(status)
