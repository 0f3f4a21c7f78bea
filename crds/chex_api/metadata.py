"""The part of Kubernetes' object metadata that a manifest on a laptop needs. The API server owns the rest."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from chex_api.base import ApiModel


class ObjectMeta(ApiModel):
    """Name, namespace and labels. Fields that the API server sets are accepted and not looked at."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)] = (
        Field(description="Name of the object, unique in its namespace.")
    )
    namespace: str = Field(default="default", max_length=63, description="Namespace of the object.")
    labels: dict[str, str] = Field(default={}, description="Labels.")
    annotations: dict[str, str] = Field(default={}, description="Annotations.")
