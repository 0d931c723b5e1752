"""What an operator can set, from the environment (prefix `SIDELIGHT_`)."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent

SHORTEST_KEY = 16
SITE = re.compile(r"https?://[^/\s*]+")
NAME = re.compile(r"\*|[^/\s*:]+")

Listed = Annotated[tuple[str, ...], NoDecode]  # with commas between


class Settings(BaseSettings):
    """Every field is also an environment variable, `SIDELIGHT_PORT` for `port` and so on."""

    model_config = SettingsConfigDict(
        env_prefix="SIDELIGHT_", frozen=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_key: SecretStr | None = Field(
        None,
        description="A key that may do everything, beside those of `sidelight keys`. With any key "
        "every request needs one.",
    )
    open_to_all: bool = Field(
        False, description="Listen beyond this machine although nobody needs a key."
    )
    wrong_keys_per_minute: int = Field(
        20, ge=1, description="Wrong keys that one client may send in a minute."
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
    job_seconds: int = Field(
        0,
        ge=0,
        description="Longest that a job may train at a time; then it keeps what it has, to be "
        "resumed. 0 for any time.",
    )
    max_seconds: float = Field(
        600, gt=0, allow_inf_nan=False, description="Longest that a request for text may take."
    )
    client_sequences: int = Field(
        32, ge=0, description="Texts that one client may have at once; 0 for any number."
    )
    client_requests_per_minute: int = Field(
        0,
        ge=0,
        description="Requests for texts, maps and exports, and such as change anything, that one "
        "client may send in a minute; 0 for any.",
    )
    event_interval_ms: int = Field(
        15,
        ge=0,
        le=1000,
        description="A stream's events bring what has become ready in so long; the first at once.",
    )
    max_connections: int = Field(
        1000, ge=0, description="Connections that may be open at once; 0 for any number."
    )
    client_connections: int = Field(
        500, ge=0, description="Connections that one client may have open; 0 for any number."
    )
    head_seconds: float = Field(
        10, gt=0, allow_inf_nan=False, description="How long a request's headers may take to come."
    )
    keep_alive_seconds: int = Field(
        5, ge=1, description="How long a connection stays open between two requests."
    )
    body_seconds: float = Field(
        30,
        gt=0,
        allow_inf_nan=False,
        description="How long a request's body may take to come, besides the time that it has for "
        "its length.",
    )
    send_seconds: float = Field(
        60,
        gt=0,
        allow_inf_nan=False,
        description="How long a client may take less of an answer than it must.",
    )
    bytes_per_second: int = Field(
        5000,
        ge=1,
        description="Slowest that a client may send a body, or take an answer that waits for it.",
    )
    answers_mb: int = Field(
        1024, ge=1, description="Megabytes of large answers held for those who read them."
    )
    max_streams: int = Field(
        500, ge=0, description="Streams of jobs' events at once; 0 for any number."
    )
    client_streams: int = Field(
        128, ge=0, description="Streams of jobs' events that one client may have; 0 for any number."
    )
    max_jobs: int = Field(1000, ge=1, description="Jobs that wait or run at once.")
    max_runs: int = Field(1000, ge=1, description="Runs there may be, those of waiting jobs too.")
    max_corpora: int = Field(200, ge=0, description="Texts that may be kept.")
    max_corpora_bytes: int = Field(
        2_000_000_000, ge=0, description="Bytes that they may take up together."
    )
    max_body_bytes: int = Field(2_000_000, ge=1, description="Largest request body.")
    max_import_bytes: int = Field(
        1_000_000_000, ge=1, description="Largest model to bring in, unpacked as well."
    )
    max_upload_bytes: int = Field(50_000_000, ge=1, description="Largest text to upload.")
    max_uploads: int = Field(
        8, ge=0, description="Texts and models that may come in at once; 0 for any number."
    )
    analysis_seconds: float = Field(
        120,
        gt=0,
        allow_inf_nan=False,
        description="Longest that it may take to work out maps, an analysis, a lesson's figure or "
        "how likely a prompt is.",
    )
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

    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Log lines on stderr: JSON, or text as on a terminal."
    )
    log_level: Literal["auto", "debug", "info", "warning", "error"] = Field(
        "auto", description="Least that is logged: `info` in JSON and `warning` in text, if auto."
    )
    log_clients: bool = Field(
        True, description="Whether log lines have the addresses that requests come from."
    )
    log_slow_seconds: float = Field(
        10, gt=0, allow_inf_nan=False, description="An answer that begins later is a warning."
    )

    @field_validator("api_key")
    @classmethod
    def _can_be_sent(cls, key: SecretStr | None) -> SecretStr | None:
        if key and not re.fullmatch(rf"[!-~]{{{SHORTEST_KEY},}}", key.get_secret_value()):
            message = "letters, digits and signs without spaces"
            raise ValueError(f"it must be at least {SHORTEST_KEY} {message}")
        return key

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a host's name, as lab.example is")
        return names

    @field_validator("cors_origins")
    @classmethod
    def _are_sites(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not SITE.fullmatch(origin):
                raise ValueError(f"{origin!r} is not a site's address, as https://lab.example is")
        return tuple(origin.lower() for origin in origins)

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
