"""Whether the server is alive, whether it can serve, and what it is doing."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.answers import TEXT, Answers, refusals
from app.deps import (
    ClientLimitsDep,
    EngineDep,
    InspectorDep,
    LoopLagDep,
    MetricsDep,
    QueueDep,
    RegistryDep,
)
from app.errors import EngineStopped, ErrorReply
from app.figures.metrics import CONTENT_TYPE
from app.figures.read_off import figures
from app.schemas import Health, Readiness

router = APIRouter(tags=["Health"])

DEAD = refusals({503: "It has to be started again."})
NOT_READY: Answers = {
    503: {
        "model": Readiness | ErrorReply,
        "description": "Something does not work, or not yet; or there was no room to look.",
    }
}
METRICS_TEXT: Answers = {
    200: {"content": {"text/plain": TEXT | {"example": "sidelight_sequences_active 2\n"}}}
}


@router.get("/healthz", summary="Liveness", responses=DEAD)
async def get_health(engine: EngineDep) -> Health:
    """The server answers, and the thread that writes lives; what does not get better by waiting."""
    if engine.trouble:
        raise EngineStopped(engine.trouble)
    return Health()


@router.get("/readyz", summary="Readiness", responses=NOT_READY)
async def get_readiness(inspector: InspectorDep, request: Request, response: Response) -> Readiness:
    """Whether it can write, load a run, keep data and look after jobs, and is not stopping.

    Cheap enough for every second: what lies on the disk is looked into once in a second at most.
    """
    readiness = await inspector.readiness()
    if not readiness.ready:
        response.status_code = 503
    if request.scope["state"].get("holder") is None:
        return Readiness(ready=readiness.ready)
    return readiness


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=METRICS_TEXT,
)
def get_metrics(
    registry: RegistryDep,
    engine: EngineDep,
    queue: QueueDep,
    limits: ClientLimitsDep,
    loop: LoopLagDep,
    measured: MetricsDep,
) -> PlainTextResponse:
    """In Prometheus' text format."""
    text = measured.text(figures(registry, engine, queue, limits, loop))
    return PlainTextResponse(text, media_type=CONTENT_TYPE)
