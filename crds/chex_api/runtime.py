"""`ClusterChexRuntime` and `ChexRuntime`: what the platform team offers. No Pod templates, no free-form DeepSpeed JSON."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chex_api import API_VERSION
from chex_api.base import ApiModel, Name, OneOf, Quantity, Text
from chex_api.metadata import ObjectMeta

Prefix = Annotated[str, Field(pattern=r"^s3://[^\s]+/$", min_length=7, max_length=1024)]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$", min_length=3, max_length=64)]
LabelValue = Annotated[str, Field(pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$", max_length=63)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]


class Head(ApiModel):
    """Size of the Ray head."""

    cpu: Quantity = Field(default="4", description="CPUs.")
    memory: Quantity = Field(default="16Gi", description="Memory.")


class Toleration(ApiModel):
    """A taint that the Pods of a pool tolerate."""

    key: str = Field(
        default="", max_length=317, description="Key of the taint; empty with `Exists`: every taint."
    )
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal", description="How key and value are compared."
    )
    value: LabelValue = Field(default="", description="Value of the taint.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="Effect of the taint; empty: all."
    )

    @model_validator(mode="after")
    def _as_a_pod_may_have_it(self) -> Self:
        """`chex_api.cel.RUNTIME_RULES` says the same; Kubernetes would refuse each Pod of the pool."""
        if self.operator == "Exists" and self.value:
            raise ValueError("value must be empty where operator is Exists")
        if self.operator == "Equal" and not self.key:
            raise ValueError("key must be given where operator is Equal")
        return self


class Topology(ApiModel):
    """How close to each other the machines of an attempt are."""

    key: LabelKey = Field(
        description="Label of nodes whose value is the same on machines that are close, such as a rack's or a zone's."
    )
    required: bool = Field(
        default=False, description="Whether to wait rather than spread an attempt over several values."
    )


class Pool(ApiModel):
    """Machines of one kind."""

    name: Name = Field(description="Name of the pool, used by `workers.pool`.")
    cpu: Quantity = Field(description="CPUs of a worker.")
    memory: Quantity = Field(description="Memory of a worker, /dev/shm included.")
    shared_memory: Quantity = Field(default="8Gi", description="Size of /dev/shm; it counts as memory.")
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs of a worker.")
    gpu_resource: str = Field(
        default="nvidia.com/gpu", min_length=1, max_length=253, description="Name of the GPU resource."
    )
    max_workers: int = Field(
        default=64, ge=1, le=4096, description="Largest number of workers that a run may ask for."
    )
    ephemeral_storage: Quantity = Field(
        default="100Gi", description="Local disk of a worker, for shards and checkpoints."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=32, description="Labels of the nodes."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=32, description="Taints that are tolerated."
    )
    topology: Topology | None = Field(
        default=None, description="Keeps the workers of an attempt close to each other; by default, anywhere."
    )


class Credentials(OneOf):
    """How Pods reach S3. Exactly one member."""

    service_account_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="ServiceAccount with a cloud role; no keys are stored.",
    )
    secret_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Secret in the job's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )


class Storage(ApiModel):
    """Where data may be read and artifacts written."""

    region: str = Field(default="", max_length=64, description="Region of the buckets.")
    endpoint_url: str = Field(
        default="",
        alias="endpointURL",
        max_length=1024,
        pattern=r"^(https?://[^\s]+)?$",
        description="Endpoint of an S3-compatible server; empty: AWS.",
    )
    kms_key_id: str = Field(
        default="",
        alias="kmsKeyID",
        max_length=2048,
        description="KMS key that encrypts artifacts; empty: the bucket's default.",
    )
    credentials: Credentials = Field(description="How Pods reach S3.")
    read_prefixes: tuple[Prefix, ...] = Field(
        min_length=1,
        max_length=64,
        description="Prefixes that may be read; `{namespace}` stands for the job's namespace.",
    )
    write_prefixes: tuple[Prefix, ...] = Field(
        min_length=1,
        max_length=64,
        description="Prefixes that artifacts may lie in; `{namespace}` stands for the job's namespace.",
    )


class SchedulerLabel(ApiModel):
    """A label that a batch scheduler reads on a RayJob."""

    key: str = Field(
        pattern=r"^(ray\.io|volcano\.sh|yunikorn\.apache\.org|kai\.scheduler|scheduling\.x-k8s\.io)/[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$",
        min_length=3,
        max_length=317,
        description="Key, of a batch scheduler's domain or KubeRay's, such as `ray.io/gang-scheduling-enabled`.",
    )
    value: LabelValue = Field(description="Value.")


class Scheduling(ApiModel):
    """Queues and priorities that jobs may name."""

    queue_names: tuple[Name, ...] = Field(default=(), max_length=64, description="Kueue LocalQueues.")
    priority_class_names: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(
        default=(), max_length=64, description="PriorityClasses."
    )
    labels: tuple[SchedulerLabel, ...] = Field(
        default=(),
        max_length=16,
        description="Labels of every RayJob, for the batch scheduler that KubeRay is set up with; none with Kueue.",
    )


class Network(ApiModel):
    """What a job's Pods may reach besides each other and DNS."""

    api_server_cidrs: tuple[Cidr, ...] = Field(
        default=(),
        alias="apiServerCIDRs",
        max_length=32,
        description="Addresses of the API server; only the head reaches them.",
    )
    storage_cidrs: tuple[Cidr, ...] = Field(
        default=(), alias="storageCIDRs", max_length=64, description="Addresses of S3."
    )
    credential_cidrs: tuple[Cidr, ...] = Field(
        default=(), alias="credentialCIDRs", max_length=32, description="Addresses of credential endpoints."
    )
    kube_ray_selector: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=16, description="Labels of KubeRay's Pods."
    )
    prometheus_selector: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=16, description="Labels of Prometheus' Pods."
    )


class EnvironmentVariable(ApiModel):
    """A variable of a safe name."""

    name: str = Field(
        pattern=r"^((NCCL|UCX|FI|HTTPS?|ALL|NO|AWS|TORCH|OMP|MKL)_[A-Z0-9_]{1,64}|CHEX_(S3_PATIENCE_SECONDS|CACHE_MAX_BYTES))$",
        min_length=3,
        max_length=80,
        description="Name; loaders and interpreters cannot be configured this way.",
    )
    value: Text = Field(default="", description="Value.")


class RuntimeSpec(ApiModel):
    """What the platform team offers."""

    image: str = Field(
        pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$",
        min_length=1,
        max_length=512,
        description="Image of the jobs, by digest.",
    )
    ray_version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$",
        min_length=5,
        max_length=32,
        description="Ray's version in that image.",
    )
    head: Head = Field(default=Head(), description="Size of the Ray head.")
    pools: tuple[Pool, ...] = Field(min_length=1, max_length=16, description="Machines by kind.")
    storage: Storage = Field(description="Where data may be read and artifacts written.")
    scheduling: Scheduling = Field(
        default=Scheduling(), description="Queues and priorities that jobs may name."
    )
    network: Network = Field(default=Network(), description="What a job's Pods may reach.")
    env: tuple[EnvironmentVariable, ...] = Field(
        default=(), max_length=64, description="Variables of every Pod."
    )


class ClusterChexRuntime(ApiModel):
    """A runtime for every namespace."""

    api_version: Literal["chexdragon.dev/v1alpha1"] = Field(
        default=API_VERSION, description="chexdragon.dev/v1alpha1"
    )
    kind: Literal["ClusterChexRuntime"] = Field(description="ClusterChexRuntime")
    metadata: ObjectMeta = Field(description="Standard metadata.")
    spec: RuntimeSpec = Field(description="What the platform team offers.")


class ChexRuntime(ApiModel):
    """A runtime for its own namespace."""

    api_version: Literal["chexdragon.dev/v1alpha1"] = Field(
        default=API_VERSION, description="chexdragon.dev/v1alpha1"
    )
    kind: Literal["ChexRuntime"] = Field(description="ChexRuntime")
    metadata: ObjectMeta = Field(description="Standard metadata.")
    spec: RuntimeSpec = Field(description="What the platform team offers.")
