"""Whether the server is alive, whether it can serve, and what it is doing."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.deps import ClientLimitsDep, EngineDep, MetricsDep, QueueDep, RegistryDep
from app.errors import UnknownRun, UnusableRun
from app.metrics import CONTENT_TYPE, Row
from app.registry import Registry
from app.schemas import Health, Readiness

router = APIRouter(tags=["Health"])

NOT_READY = {503: {"model": Readiness, "description": "No run can be loaded, or none yet."}}
METRICS_TEXT = {200: {"content": {"text/plain": {"example": "sidelight_sequences_active 2\n"}}}}


@router.get("/healthz", summary="Liveness")
async def healthz() -> Health:
    """The server answers."""
    return Health()


@router.get("/readyz", summary="Readiness", responses=NOT_READY)  # type: ignore[arg-type]
def readyz(registry: RegistryDep, engine: EngineDep, response: Response) -> Readiness:
    """Whether it can write and at least one run can be loaded, which it does; what is broken."""
    runs = [run.id for run in registry.runs()]
    has_one = registry.loaded_bytes() > 0 or any(_loads(registry, id) for id in runs)
    ready = engine.is_warm and has_one
    if not ready:
        response.status_code = 503
    return Readiness(ready=ready, runs=runs, broken=registry.broken())


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=METRICS_TEXT,  # type: ignore[arg-type]
)
def metrics(
    registry: RegistryDep,
    engine: EngineDep,
    queue: QueueDep,
    limits: ClientLimitsDep,
    measured: MetricsDep,
) -> PlainTextResponse:
    """In Prometheus' text format."""
    load, (runs, broken) = engine.load(), registry.listing()
    states = [job.state for job in queue.store.active_jobs()]
    rows = (
        Row("sequences_active", "gauge", "Texts being written.", load.active),
        Row("sequences_waiting", "gauge", "Texts waiting for a place.", load.waiting),
        Row("sequences_paused", "gauge", "Texts whose reader is behind.", load.paused),
        Row("runs_writing", "gauge", "Runs that are writing.", load.runs),
        Row("fairness", "gauge", "Least share of a run over its fair one.", load.fairness),
        Row("clients", "gauge", "Clients that have texts.", limits.clients),
        Row("tokens_total", "counter", "Tokens written.", load.tokens),
        Row("sequences_finished_total", "counter", "Texts written to the end.", load.finished),
        Row("sequences_cancelled_total", "counter", "Texts whose reader left.", load.cancelled),
        Row("sequences_expired_total", "counter", "Texts whose time was up.", load.expired),
        Row("queue_refusals_total", "counter", "Requests that found it full.", load.refused),
        Row("sequences_failed_total", "counter", "Texts that broke.", load.failed),
        Row("jobs_running", "gauge", "Jobs that train a run.", states.count("running")),
        Row("jobs_queued", "gauge", "Jobs that wait for a device.", states.count("queued")),
        Row("runs", "gauge", "Runs that can be read.", len(runs)),
        Row("runs_broken", "gauge", "Folders that cannot.", len(broken)),
        Row("weights_bytes", "gauge", "Weights kept loaded.", registry.loaded_bytes()),
    )
    return PlainTextResponse(measured.text(rows), media_type=CONTENT_TYPE)


def _loads(registry: Registry, id: str) -> bool:
    try:
        with registry.lend(id):
            return True
    except (UnknownRun, UnusableRun):
        return False
