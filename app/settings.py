"""What an operator can set, from the environment (prefix `SIDELIGHT_`)."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent

Listed = Annotated[tuple[str, ...], NoDecode]  # with commas between


class Settings(BaseSettings):
    """Every field is also an environment variable, `SIDELIGHT_PORT` for `port` and so on."""

    model_config = SettingsConfigDict(env_prefix="SIDELIGHT_", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="A key that may do everything, beside those of `sidelight keys`. With any key "
        "every request needs one.",
    )
    open_to_all: bool = Field(
        False, description="Listen beyond this machine although nobody needs a key."
    )
    allowed_hosts: Listed = Field(
        (),
        description="Names that the server answers to besides its addresses and `localhost`, with "
        "commas between; `*` for any.",
    )
    cors_origins: Listed = Field(
        (),
        description="Other sites whose pages may use the API, as https://lab.example, with commas "
        "between.",
    )
    checkpoints: Path = Field(ROOT / "checkpoints", description="The folder of run folders.")
    data: Path = Field(ROOT / "data", description="The folder of uploaded texts and of jobs.")
    devices: str = Field(
        "auto", description="Where jobs run, with commas between: cpu, mps, cuda:0; auto for all."
    )
    ray_address: str | None = Field(
        None, pattern=r"^https?://", description="Job server of a Ray cluster that jobs run on."
    )
    ray_cpus_per_job: float = Field(1, gt=0, description="CPUs that a job on Ray takes up.")
    ray_gpus_per_job: float | None = Field(
        None, ge=0, description="GPUs that it takes up; one where the cluster has any, if unset."
    )
    ray_python: str | None = Field(
        None, description="Python with Sidelight on Ray's nodes; the server's own path if unset."
    )
    ray_stop_seconds: int = Field(
        60, ge=1, description="How long a job on Ray may take to keep what it has."
    )
    replicas: int = Field(
        0, ge=0, description="Processes on Ray Serve that write and read for this one; 0 for none."
    )
    ray_cluster: str | None = Field(
        None,
        pattern=r"^(auto|[^/]+:\d+)$",
        description="Ray cluster that they run on, as HEAD:6379; one of their own if unset.",
    )
    memory_budget_mb: int = Field(
        1024,
        ge=1,
        description="Megabytes of weights kept loaded, a GPT's twice for the copy that it writes "
        "with; the least recently used go.",
    )
    half_weights: bool = Field(
        False,
        description="Write with matrices in half precision, which is faster for runs larger than "
        "the processor's cache, unless that changes the likeliest token anywhere in the run's own "
        "sample.",
    )
    threads: int = Field(
        1, ge=1, description="torch threads per operation; small models are fastest with one."
    )
    max_active: int = Field(16, ge=1, description="Sequences that are written at the same time.")
    max_waiting: int = Field(64, ge=0, description="Sequences that may wait for their turn.")
    max_seconds: float = Field(
        600, gt=0, allow_inf_nan=False, description="Longest that a request for text may take."
    )
    client_sequences: int = Field(
        32, ge=0, description="Texts that one client may have at once; 0 for any number."
    )
    client_requests_per_minute: int = Field(
        0,
        ge=0,
        description="Requests for texts and maps that one client may send in a minute; 0 for any.",
    )
    event_interval_ms: int = Field(
        15,
        ge=0,
        le=1000,
        description="A stream's events bring what has become ready in so long; the first at once.",
    )
    max_body_bytes: int = Field(2_000_000, ge=1, description="Largest request body.")
    max_import_bytes: int = Field(
        1_000_000_000, ge=1, description="Largest model to bring in, unpacked as well."
    )
    max_upload_bytes: int = Field(50_000_000, ge=1, description="Largest text to upload.")
    attention_cells: int = Field(
        64_000_000, ge=1, description="Largest layers x heads x T x T that is worked out."
    )
    attention_json_cells: int = Field(
        1_000_000, ge=1, description="Largest layers x heads x T x T that is sent as JSON."
    )
    attention_cache_mb: int = Field(
        256, ge=0, description="Megabytes of maps kept, for whoever looks closer at them."
    )
    shutdown_seconds: int = Field(
        3, ge=0, description="How long open streams may go on once the server is told to stop."
    )

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _parts(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]
        return value

    @field_validator("checkpoints", "data")
    @classmethod
    def _from_anywhere(cls, folder: Path) -> Path:
        """A job's process does not work in the folder that the server was started in."""
        return folder.resolve()
