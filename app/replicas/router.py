"""Which replica a request goes to: the one that has the run already, while it has room."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

RUNS_REMEMBERED = 10_000


class ByRun(RequestRouter):  # type: ignore[misc]
    """Ray Serve's router in the server's process. A request's session is the run that it is for.

    A run's home is the replica that its first request went to, which was home to the fewest. There
    its weights stay loaded, and what is asked of it together is written as one batch. Only while
    home is full another replica takes its requests, whichever has least to do; and while all are,
    requests wait for the first that has room.
    """

    def initialize_state(self, room: int) -> None:
        """Ray Serve calls it once: a replica that answers `room` requests is full.

        Ray Serve's own limit is higher. It would keep out as well who only asks how things are.
        """
        self._room = room
        self._homes: OrderedDict[str, ReplicaID] = OrderedDict()  # the last used is the last
        self._answering: Counter[ReplicaID] = Counter()
        self._counting = threading.Lock()  # Ray tells of an end in a thread of its own

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Where the request may go; if nowhere, Ray Serve asks again, less and less often."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        with_room = [
            replica
            for replica in candidate_replicas
            if self._answering[replica.replica_id] < self._room
        ]
        home = self._home(pending_request.metadata.session_id, candidate_replicas)
        if home in with_room:
            return [[home]]
        return [sorted(with_room, key=lambda other: self._answering[other.replica_id])[:1]]

    def on_send_request(self, replica_id: ReplicaID) -> None:
        super().on_send_request(replica_id)
        with self._counting:
            self._answering[replica_id] += 1

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        super().on_request_completed(replica_id, internal_request_id)
        with self._counting:
            self._answering[replica_id] -= 1

    def _home(self, run: str, replicas: Sequence[RunningReplica]) -> RunningReplica:
        by_id = {replica.replica_id: replica for replica in replicas}
        home = self._homes.get(run)
        if home not in by_id:
            runs_at = Counter(self._homes.values())
            home = min(by_id, key=lambda id: (runs_at[id], id.unique_id))
            self._homes[run] = home
        self._homes.move_to_end(run)
        if len(self._homes) > RUNS_REMEMBERED:
            self._homes.popitem(last=False)
        return by_id[home]
