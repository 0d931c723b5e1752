"""Whether the server is alive, whether it can serve, and what it is doing."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.deps import EngineDep, QueueDep, RegistryDep
from app.errors import UnknownRun, UnusableRun
from app.registry import Registry
from app.schemas import Health, Readiness

router = APIRouter(tags=["Health"])

NOT_READY = {503: {"model": Readiness, "description": "No run can be loaded."}}
METRICS_TEXT = {200: {"content": {"text/plain": {"example": "sidelight_sequences_active 2\n"}}}}


@router.get("/healthz", summary="Liveness")
async def healthz() -> Health:
    """The server answers."""
    return Health()


@router.get("/readyz", summary="Readiness", responses=NOT_READY)  # type: ignore[arg-type]
def readyz(registry: RegistryDep, response: Response) -> Readiness:
    """Whether at least one run can be loaded, which it does, and which folders are broken."""
    runs = [run.id for run in registry.runs()]
    ready = any(_loads(registry, id) for id in runs)
    if not ready:
        response.status_code = 503
    return Readiness(ready=ready, runs=runs, broken=registry.broken())


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=METRICS_TEXT,  # type: ignore[arg-type]
)
def metrics(registry: RegistryDep, engine: EngineDep, queue: QueueDep) -> PlainTextResponse:
    """In Prometheus' text format."""
    load = engine.load()
    states = [job.state for job in queue.store.active_jobs()]
    rows = (
        ("sequences_active", "gauge", "Texts being written.", load.active),
        ("sequences_waiting", "gauge", "Texts waiting for their turn.", load.waiting),
        ("tokens_total", "counter", "Tokens written.", load.tokens),
        ("sequences_finished_total", "counter", "Texts written to the end.", load.finished),
        ("sequences_cancelled_total", "counter", "Texts whose reader left.", load.cancelled),
        ("sequences_failed_total", "counter", "Texts that broke.", load.failed),
        ("jobs_running", "gauge", "Jobs that train a run.", states.count("running")),
        ("jobs_queued", "gauge", "Jobs that wait for a device.", states.count("queued")),
        ("runs", "gauge", "Runs that can be read.", len(registry.runs())),
        ("runs_broken", "gauge", "Folders that cannot.", len(registry.broken())),
        ("weights_bytes", "gauge", "Weights kept loaded.", registry.loaded_bytes()),
    )
    lines = [line for row in rows for line in _metric(*row)]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _loads(registry: Registry, id: str) -> bool:
    try:
        with registry.lend(id):
            return True
    except (UnknownRun, UnusableRun):
        return False


def _metric(name: str, kind: str, meaning: str, value: int) -> tuple[str, str, str]:
    name = f"sidelight_{name}"
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value}"
