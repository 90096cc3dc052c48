"""Model configurations, and the networks built from them."""

from tfyolo.models.build import build_model, count_model
from tfyolo.models.config.parse import parse_spec
from tfyolo.models.contract import Contract
from tfyolo.models.registry import list_models, load_spec
from tfyolo.models.spec import ModelSpec

__all__ = ["Contract", "ModelSpec", "build_model", "count_model", "list_models", "load_spec", "parse_spec"]
