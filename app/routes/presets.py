"""`/api/presets` and `/api/config-schema`: what a form to train a run is made from."""

from fastapi import APIRouter

from app.form_schema import FormSchema, form_schema
from app.preset_listing import PresetList, list_presets

router = APIRouter(prefix="/api", tags=["Training"])


@router.get("/presets", name="list_presets", summary="All presets")
def get_presets() -> PresetList:
    """Named configurations, each with the hypothesis it was to show. Any can be changed."""
    return list_presets()


@router.get("/config-schema", summary="Every hyperparameter")
def get_config_schema() -> FormSchema:
    """JSON schemas of the configurations, with bounds, defaults and explanations, in groups."""
    return form_schema()
