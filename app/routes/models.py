"""`/v1/models`: every run as an OpenAI model."""

from fastapi import APIRouter

from app import examples
from app.answers import refusals
from app.deps import RegistryDep
from app.errors import UnknownRun
from app.registry import Run
from app.schemas import Model, ModelList, Name

router = APIRouter(prefix="/v1", tags=["OpenAI"])

ERRORS = refusals({404: "There is no such run.", 503: "The run's folder is broken."})


@router.get(
    "/models",
    summary="List the models",
    responses=examples.of_answer(examples.MODELS),
)
def list_models(registry: RegistryDep) -> ModelList:
    """Every run that can be read, by id."""
    return ModelList(data=[_model(run) for run in registry.runs()])


@router.get("/models/{id}", summary="One model", responses=ERRORS)
def get_model(id: Name, registry: RegistryDep) -> Model:
    """The run as a model; `/api/runs/{id}` tells more."""
    try:
        return _model(registry.run(id))
    except UnknownRun as error:
        raise UnknownRun(error.message, param="model", code="model_not_found") from None


def _model(run: Run) -> Model:
    return Model(id=run.id, created=int(run.config.created.timestamp()))
