"""The part of Kubernetes' object metadata that a manifest on a laptop needs. The API server owns the rest."""

from typing import Annotated, Any

from pydantic import Field

from chex_api.base import ApiModel, Name

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_WORD = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

ObjectName = Annotated[str, Field(pattern=rf"^{_LABEL}(\.{_LABEL})*$", min_length=1, max_length=253)]
"""An RFC 1123 subdomain."""
QualifiedName = Annotated[
    str, Field(pattern=rf"^({_LABEL}(\.{_LABEL})*/)?{_WORD}$", min_length=1, max_length=317)
]
"""Key of a label or annotation."""
LabelText = Annotated[str, Field(pattern=rf"^({_WORD})?$", max_length=63)]


class ObjectMeta(ApiModel):
    """Name, namespace, labels, annotations. Fields that the API server sets are accepted and not looked at."""

    name: ObjectName = Field(description="Name of the object, unique in its namespace.")
    namespace: Annotated[str, Field(pattern=rf"^{_LABEL}$", min_length=1, max_length=63)] = Field(
        default="default", description="Namespace of the object."
    )
    labels: dict[QualifiedName, LabelText] = Field(default={}, description="Labels.")
    annotations: dict[QualifiedName, str] = Field(default={}, description="Annotations.")
    generate_name: Any = Field(default=None, description="Not used: a job is named.")
    self_link: Any = Field(default=None, description="Set by the API server.")
    uid: Any = Field(default=None, description="Set by the API server.")
    resource_version: Any = Field(default=None, description="Set by the API server.")
    generation: Any = Field(default=None, description="Set by the API server.")
    creation_timestamp: Any = Field(default=None, description="Set by the API server.")
    deletion_timestamp: Any = Field(default=None, description="Set by the API server.")
    deletion_grace_period_seconds: Any = Field(default=None, description="Set by the API server.")
    finalizers: Any = Field(default=None, description="Set by controllers.")
    owner_references: Any = Field(default=None, description="Set by controllers.")
    managed_fields: Any = Field(default=None, description="Set by the API server.")


class JobMeta(ObjectMeta):
    """Metadata of a job. Its name stands in labels and names of other objects, so it is a DNS label, not a subdomain."""

    name: Name = Field(description="Name of the job, unique in its namespace.")
