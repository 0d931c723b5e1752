"""`/api/runs`: the runs, their configuration and their history."""

from fastapi import APIRouter

from app.answers import refusals
from app.deps import QueueDep, RegistryDep, SettingsDep
from app.run_listing import RunDetail, RunList, detail, list_runs
from app.schemas import Name

router = APIRouter(prefix="/api", tags=["Runs"])


@router.get("/runs", name="list_runs", summary="All runs")
def get_runs(registry: RegistryDep, queue: QueueDep, settings: SettingsDep) -> RunList:
    """Every run by id, and the folders that cannot be read with the reason."""
    return list_runs(registry, queue.run_ids(), settings.max_import_bytes)


@router.get(
    "/runs/{id}",
    summary="One run",
    responses=refusals({404: "There is no such run.", 503: "The run's folder is broken."}),
)
def get_run(id: Name, registry: RegistryDep, queue: QueueDep) -> RunDetail:
    """The same, with every evaluation, every sample and the vocabulary."""
    return detail(registry.run(id), queue.run_ids())
