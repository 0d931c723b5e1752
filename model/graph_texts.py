"""Texts on a device, one at each place, and the few things that are done with them there.

Each of those has fixed shapes for a given number of rows, works on the same buffers every time and
asks for no number from the device: it can be captured and replayed. What the host knows anyway,
which texts are past the context, is for the host to decide.
"""

import torch
from torch import Tensor

from model.gpt import GPT
from model.graph_sampling import ById, Choosing, Row, draw, shares
from model.kv_cache import PlacedCache


class DeviceTexts:
    """Buffers for `places` texts and one more place, `spare`, where nothing matters.

    A row that is there only to make up a number is that of `spare`. Places that no text has take
    part with whatever they hold; a row's numbers come from its own place alone.
    """

    def __init__(self, model: GPT, places: int, most_steps: int, most_top: int) -> None:
        config, like = model.config, model.wte.weight
        device, all_places, V = like.device, places + 1, config.vocab_size
        precise = torch.float32 if device.type == "mps" else torch.float64  # Apple's have no other
        self._model = model
        self.top = min(most_top, V)
        self.spare = places
        self.kept = max(config.block_size // 2, 1)  # of a full window that jumps
        # The context's ids; an endless model needs but the last, its cache has the others.
        length = 1 if model.endless else config.block_size
        self._window = torch.zeros(all_places, length, dtype=torch.int64, device=device)
        self._position = torch.zeros(all_places, dtype=torch.int64, device=device)  # of the last id
        self._how = torch.ones(all_places, len(Choosing._fields), dtype=precise, device=device)
        self._by_id = ById(
            there=torch.zeros(all_places, V, dtype=torch.bool, device=device),
            bias=torch.zeros(all_places, V, device=device),
            counts=torch.zeros(all_places, V, dtype=torch.int32, device=device),
        )
        self._cache = PlacedCache(config, all_places, like)
        self._logits = torch.zeros(all_places, V, device=device)
        self._at = torch.zeros(1, dtype=torch.int64, device=device)  # the step
        self.uniform = torch.zeros(most_steps, all_places, dtype=precise, device=device)
        # An id, its log-probability, then the likeliest ids and theirs: one copy for the host.
        # float32 has every whole number up to 16 million, and V is at most one.
        self.drawn = torch.zeros(most_steps, all_places, 2 + 2 * self.top, device=device)
        self.past_rows = torch.zeros(places, dtype=torch.int64, device=device)
        self.full_rows = torch.zeros(places, dtype=torch.int64, device=device)

    def take_over(self, others: "DeviceTexts") -> None:
        """Have what `others`, which are fewer, hold at their places."""
        for new, old in zip(self.by_place, others.by_place, strict=True):
            new[: others.spare] = old[: others.spare]

    def begin(self, place: int, ids: list[int], how: Row, by_id: ById, *, read: bool) -> None:
        """Put a text there. If `read`, all but its last id, so that it can go on with `step`.

        `ids` are at most as many as the context, unless the model is endless.
        """
        device, length = self._window.device, self._window.shape[1]
        row = torch.tensor([place], device=device)
        new = torch.tensor([ids], device=device)
        self._cache.earlier[:, place] = 0
        if read and len(ids) > 1:
            self._model(new[:, :-1], cache=self._cache.beginnings(row), last_only=True)
        self._window[place, : len(ids)] = new[0, -length:]
        self._position[place] = len(ids) - 1
        self._how[place] = torch.tensor(how, dtype=self._how.dtype)
        for buffer, row in zip(self._by_id, by_id, strict=True):
            buffer[place] = row.to(device)

    def restart(self) -> None:
        """Let the next `draw` be the first of `drawn`."""
        self._at.zero_()

    # What can be captured

    def step(self, count: int) -> None:
        """Logits of the first `count` places, by their last ids, which are kept in the cache."""
        position = self._position[:count]
        last = position.clamp(max=self._window.shape[1] - 1)[:, None]
        ids = self._window[:count].gather(1, last)
        self._logits[:count] = self._model(ids, cache=self._cache.following(position))[:, 0]

    def read_windows(self, count: int) -> None:
        """Logits of the first `count` of `past_rows`, from their whole windows anew."""
        rows = self.past_rows[:count]
        logits = self._model(self._window.index_select(0, rows), last_only=True)[:, 0]
        self._logits.index_copy_(0, rows, logits.float())

    def jump(self, count: int) -> None:
        """Of the first `count` of `full_rows` only the last `kept` ids, read up to the last."""
        rows = self.full_rows[:count]
        ids = self._window.index_select(0, rows)[:, -self.kept :]
        if self.kept > 1:
            self._model(ids[:, :-1], cache=self._cache.beginnings(rows), last_only=True)
        else:
            self._cache.earlier.index_fill_(1, rows, 0)
        self._window[:, : self.kept].index_copy_(0, rows, ids)
        self._position.index_fill_(0, rows, self.kept - 1)

    def draw(self, count: int, *, adjusted: bool, filtered: bool, with_top: bool) -> None:
        """Draw an id for each of the first `count` places, from its logits, and add it."""
        logits, by_id = self._logits[:count], ById(*(each[:count] for each in self._by_id))
        how = Choosing(*self._how[:count].split(1, dim=1))
        u = self.uniform.index_select(0, self._at)[0, :count]
        found = shares(logits, how, by_id, adjusted=adjusted, filtered=filtered)
        ids = draw(found, u)[:, None]
        logprobs = logits.log_softmax(-1)
        fields = [ids.float(), logprobs.gather(1, ids)]
        if with_top:
            best, best_ids = logprobs.sort(dim=-1, descending=True, stable=True)
            fields += [best_ids[:, : self.top].float(), best[:, : self.top]]
        row = torch.cat(fields, dim=1)[None]
        self.drawn[:, :count, : row.shape[2]].index_copy_(0, self._at, row)
        by_id.there.scatter_(1, ids, True)  # noqa: FBT003 - the value
        if adjusted:
            by_id.counts.scatter_add_(1, ids, torch.ones_like(ids, dtype=torch.int32))
        self._append(ids)
        self._at += 1

    def _append(self, ids: Tensor) -> None:
        """Put ids (B, 1) behind the last of the first B places; a full window loses its first."""
        B, length = ids.shape[0], self._window.shape[1]
        window, position = self._window[:B], self._position[:B]
        full = position[:, None] >= length - 1
        window.copy_(torch.where(full, window.roll(-1, dims=1), window))
        position += 1
        if not self._model.endless:
            position.clamp_(max=length - 1)
        window.scatter_(1, position.clamp(max=length - 1)[:, None], ids)

    @property
    def by_place(self) -> list[Tensor]:
        cache = (self._cache.keys, self._cache.values, self._cache.earlier)
        by_place = [tensor.transpose(0, 1) for tensor in cache]
        return [*by_place, self._window, self._position, self._how, *self._by_id]
