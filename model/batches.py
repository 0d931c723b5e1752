"""The batch that suits a model and the device it is on."""

from collections.abc import Sequence as Ids

from model.batch import Batch
from model.gpt import GPT
from model.half_weights import keeps_choices
from model.language_model import LanguageModel


def batch_of(model: LanguageModel, *, halves_if_same_on: Ids[int] | None = None) -> Batch:
    """A new, empty batch of sequences that `model` writes.

    With the ids of a text, a GPT on the CPU keeps its matrices in half precision, unless that
    changes the likeliest token anywhere in the text.
    """
    if not isinstance(model, GPT):
        from model.table_batch import TableBatch

        return TableBatch(model)
    if model.wte.weight.device.type != "cpu":
        from model.graph_batch import GraphBatch

        return GraphBatch(model)
    from model.cpu_batch import CpuBatch

    halves = bool(halves_if_same_on) and keeps_choices(model, halves_if_same_on or ())
    return CpuBatch(model, halves=halves)
