"""A network as one ONNX file, for onnxruntime and everything else that reads those."""

from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from model.config import ModelConfig, RunConfig
from model.interop.huggingface_tokenizer import write_tokenizer_json
from model.interop.onnx_graph import IDS, LINEAR, LOGITS, network_graph
from model.interop.read_me import onnx_read_me
from model.tokenizer import Tokenizer

OPSET, IR = 20, 9  # of 2023: the first with Gelu
INSTALL = "pip install 'sidelight[onnx]'"


def is_installed() -> bool:
    """Whether the package is there that writes ONNX."""
    return find_spec("onnx") is not None


def write_onnx(
    run: RunConfig, step: int | None, tensors: dict[str, Tensor], tokenizer: Tokenizer, into: Path
) -> list[str]:
    """Write `model.onnx` and what goes with it, and return the files' names.

    `tensors` are float32 and named as in a run folder; `step` is the snapshot that they are, None
    for the final weights. The package `onnx` must be there. Raises OSError.
    """
    write_network(run.model, tensors, into / "model.onnx")
    write_tokenizer_json(tokenizer, into / "tokenizer.json")
    (into / "README.md").write_text(onnx_read_me(run, step, tokenizer), "utf-8")
    return ["README.md", "model.onnx", "tokenizer.json"]


def write_network(config: ModelConfig, tensors: dict[str, Tensor], path: Path) -> None:
    """The graph and its weights in one file.

    Its input is `ids` (batch, length) int64, its output `logits` (batch, length, vocab_size).
    """
    from onnx import TensorProto, helper

    graph = network_graph(config, set(tensors))
    ids = helper.make_tensor_value_info(IDS, TensorProto.INT64, ["batch", "length"])
    shape: list[str | int | None] = ["batch", "length", config.vocab_size]
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, shape)
    content = helper.make_graph(graph.nodes, config.kind, [ids], [logits], graph.constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(content, opset_imports=[opset], ir_version=IR)
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        for name, tensor in tensors.items():
            file.write(_weight(name, tensor.T if name.endswith(LINEAR) else tensor))


def _weight(name: str, tensor: Tensor) -> bytes:
    """A model with nothing but that weight.

    Messages of protobuf that stand one behind the other are read as a single one, which here has
    all the weights; so never more than one of them is in memory a second time.
    """
    from onnx import ModelProto, TensorProto

    model = ModelProto()
    model.graph.initializer.add(
        name=name,
        data_type=TensorProto.FLOAT,
        dims=list(tensor.shape),
        raw_data=tensor.numpy().astype("<f4", copy=False).tobytes(),
    )
    content: bytes = model.SerializeToString()
    return content
