"""`/v1/models`: every run as an OpenAI model."""

from typing import Any

from fastapi import APIRouter

from app import examples
from app.deps import RegistryDep
from app.errors import ErrorReply, UnknownRun
from app.registry import Run
from app.schemas import Model, ModelList

router = APIRouter(prefix="/v1", tags=["OpenAI"])

ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorReply, "description": "There is no such run."},
    "default": {"model": ErrorReply, "description": "Any other error."},
}


@router.get(
    "/models",
    summary="List the models",
    responses={200: {"content": {"application/json": {"example": examples.MODELS}}}},
)
def list_models(registry: RegistryDep) -> ModelList:
    """Every run that can be read, by id."""
    return ModelList(data=[_model(run) for run in registry.runs()])


@router.get("/models/{id}", summary="One model", responses=ERRORS)
def get_model(id: str, registry: RegistryDep) -> Model:
    """The run as a model; `/api/runs/{id}` tells more."""
    try:
        return _model(registry.run(id))
    except UnknownRun as error:
        raise UnknownRun(error.message, param="model", code="model_not_found") from None


def _model(run: Run) -> Model:
    return Model(id=run.id, created=int(run.config.created.timestamp()))
