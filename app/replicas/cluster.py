"""Replicas on Ray Serve, from their start to their end."""

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from app.settings import Settings

if TYPE_CHECKING:
    from app.replicas.replica import CreateApp

LOOK_S, ANSWER_S = 2, 10  # how often Ray Serve looks at a replica; how long that may take
ASK_AGAIN_S = 0.01  # after which a request that waits asks for room once more
SPARE = 20  # requests that a full replica still answers: who asks for figures is one

log = logging.getLogger("sidelight")


class NoCluster(Exception):
    """There is nowhere to run replicas, or they do not start; the message says what to do."""


@contextmanager
def replicas(create_app: "CreateApp", settings: Settings, port: int) -> Iterator[Any]:
    """Ray Serve's handle of `settings.replicas` replicas that are ready; they end with the block.

    `port` tells them from those of another server on the same cluster. Raises NoCluster.
    """
    _join(settings)
    signal.signal(signal.SIGTERM, _end)  # Ray's own handler takes the number for the exit status
    import ray
    from ray import serve

    name = f"sidelight-{socket.gethostname()}-{port}"
    try:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        if name in serve.status().applications:  # of a server that was killed
            serve.delete(name)
        without_key = settings.model_copy(update={"api_key": None})  # others see what is on Ray
        app = _deployment(settings).bind(create_app, without_key)
        try:
            handle = serve.run(app, name=name, route_prefix=None)
        except RuntimeError as error:
            raise NoCluster(f"the replicas do not start: {error}") from error
        yield handle
    finally:
        with suppress(Exception):  # where the cluster is gone they are as well
            serve.delete(name)
        ray.shutdown()


def _end(*_: object) -> NoReturn:
    """Leave the block on the way out, which takes the replicas along."""
    sys.exit(0)


def _join(settings: Settings) -> None:
    """Join the cluster, or start one here that has room for all and ends with this process."""
    address = settings.ray_cluster
    if not address:
        # Ray reads these once, when it is imported. Without them whoever reaches its ports can run
        # anything.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    try:
        _knock(address or "")
        import ray
        import ray.serve

        if address:
            ray.init(address, logging_level=logging.WARNING)
        else:
            cpus = max(settings.replicas, os.cpu_count() or 1)
            own = {"num_cpus": cpus, "include_dashboard": False}
            ray.init("local", logging_level=logging.WARNING, **own)
    except ImportError as error:
        log.debug("Ray cannot be imported: %s", error)
        message = "replicas run on Ray Serve, which is missing: pip install 'sidelight[ray]'"
        raise NoCluster(message) from None
    except Exception as error:  # Ray has many, and no kind of its own for them
        where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot start"
        raise NoCluster(f"{where}: {error}") from error


def _knock(address: str) -> None:
    """Raises OSError where nobody listens, which Ray takes minutes to find out."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()


def _deployment(settings: Settings) -> Any:
    """The app as Ray Serve is to run it.

    A replica has room for as many requests as it writes texts at once: those beyond would wait in
    it while another may be idle. They wait here instead, for whichever has room first.
    """
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from app.replicas.replica import Replica
    from app.replicas.router import ByRun

    return serve.deployment(
        Replica,
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.max_active + SPARE,
        max_queued_requests=settings.max_waiting * settings.replicas,
        ray_actor_options={"num_cpus": 1},
        request_router_config=RequestRouterConfig(
            request_router_class=ByRun,
            request_router_kwargs={"room": settings.max_active},
            initial_backoff_s=ASK_AGAIN_S,
            max_backoff_s=4 * ASK_AGAIN_S,
        ),
        logging_config={"log_level": "WARNING", "enable_access_log": False},
        health_check_period_s=LOOK_S,
        health_check_timeout_s=ANSWER_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=settings.shutdown_seconds + 1,
    )
