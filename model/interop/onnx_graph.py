"""Our networks as ONNX graphs: the same steps as in their `forward`, one node each.

Shapes are (B, T, C): any batch, any length within the context. A weight keeps its name; those of
linear layers are turned to (in, out).
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig
from model.gpt import rotations

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

IDS, LOGITS = "ids", "logits"
LINEAR = ("qkv.weight", "proj.weight", "fc.weight", "lm_head.weight")
NORM_EPSILON = 1e-5  # of LayerNorm; RMSNorm adds the smallest step of a float, as torch does


def network_graph(config: ModelConfig, weights: set[str]) -> "Graph":
    """ids (B, T) -> logits (B, T, V); `weights` are the names of those that there are."""
    match config:
        case GPTConfig():
            return _GPTGraph(config, weights)
        case BigramConfig():
            graph = Graph()
            graph.output(graph.add("Gather", "table.weight", IDS))
            return graph
        case NGramConfig():
            raise ValueError("an n-gram model is no network")


class Graph:
    """Nodes in the order they are worked out, and the numbers that are no weights."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output; the name of that."""
        return self.several(op, 1, *inputs, **attributes)[0]

    def several(self, op: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node with `count` outputs; their names."""
        from onnx import helper

        names = [f"{op}_{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def constant(self, value: Any, kind: type = np.int64) -> str:
        """The name of a number or an array of numbers."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=kind), name))
        return name

    def output(self, name: str) -> None:
        """`name` is what the graph is for."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [name], [LOGITS]))


class _GPTGraph(Graph):
    """What `model.gpt.GPT` does, without dropout."""

    def __init__(self, config: GPTConfig, weights: set[str]) -> None:
        super().__init__()
        self.config = config
        self.weights = weights
        self.positions = self._positions()
        self.mask = self._mask()
        self.rotation = self._rotation() if config.position == "rotary" else None
        x = self.add("Gather", "wte.weight", IDS)
        if config.position == "learned":
            x = self.add("Add", x, self.add("Gather", "wpe.weight", self.positions))
        for layer in range(config.n_layer):
            x = self._block(x, f"blocks.{layer}")
        x = self._norm(x, "norm")
        if config.tie_weights:
            head = self.add("Transpose", "wte.weight", perm=[1, 0])
            self.output(self.add("MatMul", x, head))
        else:
            self.output(self._linear(x, "lm_head"))

    def _positions(self) -> str:
        """0 to T - 1."""
        length = self.add("Shape", IDS, start=1, end=2)
        length = self.add("Squeeze", length, self.constant([0]))
        return self.add("Range", self.constant(0), length, self.constant(1))

    def _mask(self) -> str:
        """Whether a query sees a key: (T, T)."""
        query = self.add("Unsqueeze", self.positions, self.constant([1]))
        key = self.add("Unsqueeze", self.positions, self.constant([0]))
        seen = self.add("LessOrEqual", key, query)
        if self.config.attention_window is None:
            return seen
        first = self.add("Sub", query, self.constant(self.config.attention_window))
        return self.add("And", seen, self.add("Greater", key, first))

    def _rotation(self) -> tuple[str, str]:
        """Cosine and sine for each position: (T, D/2) each."""
        config = self.config
        if config.attention_window is None:
            known = rotations(config, torch.arange(config.block_size)).unbind(-1)
            tables = [self.constant(table.numpy(), np.float32) for table in known]
            cos, sin = (self.add("Gather", table, self.positions) for table in tables)
            return cos, sin
        from onnx import TensorProto

        D = config.n_embd // config.n_head
        steps = config.rope_base ** -(np.arange(0, D, 2, dtype=np.float64) / D)
        places = self.add("Unsqueeze", self.positions, self.constant([1]))
        places = self.add("Cast", places, to=TensorProto.DOUBLE)
        angles = self.add("Mul", places, self.constant(steps, np.float64))
        turns = self.add("Cos", angles), self.add("Sin", angles)
        cos, sin = (self.add("Cast", turn, to=TensorProto.FLOAT) for turn in turns)
        return cos, sin

    def _block(self, x: str, name: str) -> str:
        x = self.add("Add", x, self._attention(self._norm(x, f"{name}.norm_1"), f"{name}.attn"))
        return self.add("Add", x, self._mlp(self._norm(x, f"{name}.norm_2"), f"{name}.mlp"))

    def _attention(self, x: str, name: str) -> str:
        H, D = self.config.n_head, self.config.n_embd // self.config.n_head
        qkv = self._linear(x, f"{name}.qkv")
        if self.config.qkv_conv:
            qkv = self._conv(qkv, f"{name}.conv.weight")
        qkv = self.add("Reshape", qkv, self.constant([0, 0, 3, H, D]))
        qkv = self.add("Transpose", qkv, perm=[2, 0, 3, 1, 4])  # (3, B, H, T, D)
        q, k, v = (self.add("Gather", qkv, self.constant(i), axis=0) for i in range(3))
        if self.config.qk_norm:
            q, k = self._rms_norm(q), self._rms_norm(k)
        if self.config.qk_gain:
            q = self.add("Mul", q, f"{name}.gain")
        if self.rotation is not None:
            q, k = self._rotate(q), self._rotate(k)
        scores = self.add("MatMul", q, self.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.add("Mul", scores, self.constant(1 / math.sqrt(D), np.float32))
        scores = self.add("Where", self.mask, scores, self.constant(-math.inf, np.float32))
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)  # (B, H, T, D)
        mixed = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = self.add("Reshape", mixed, self.constant([0, 0, H * D]))
        return self._linear(mixed, f"{name}.proj")

    def _conv(self, x: str, weight: str) -> str:
        """Before the first position there are zeros, as many as positions are looked back to."""
        size = self.config.qkv_conv
        padded = self.add("Pad", x, self.constant([0, size, 0, 0, 0, 0]))
        for distance in range(1, size + 1):
            first, end = self.constant([size - distance]), self.constant([-distance])
            earlier = self.add("Slice", padded, first, end, self.constant([1]))
            share = self.add("Gather", weight, self.constant(distance - 1))
            x = self.add("Add", x, self.add("Mul", earlier, share))
        return x

    def _rotate(self, x: str) -> str:
        assert self.rotation is not None
        cos, sin = self.rotation
        a, b = self.several("Split", 2, x, axis=-1, num_outputs=2)
        first = self.add("Sub", self.add("Mul", a, cos), self.add("Mul", b, sin))
        second = self.add("Add", self.add("Mul", a, sin), self.add("Mul", b, cos))
        return self.add("Concat", first, second, axis=-1)

    def _mlp(self, x: str, name: str) -> str:
        return self._linear(self._activate(self._linear(x, f"{name}.fc")), f"{name}.proj")

    def _activate(self, x: str) -> str:
        match self.config.activation:
            case "relu":
                return self.add("Relu", x)
            case "gelu":
                return self.add("Gelu", x, approximate="tanh")
            case "gelu_erf":
                return self.add("Gelu", x)
            case "relu2":
                positive = self.add("Relu", x)
                return self.add("Mul", positive, positive)
            case "swiglu":
                gate, value = self.several("Split", 2, x, axis=-1, num_outputs=2)
                silu = self.add("Mul", gate, self.add("Sigmoid", gate))
                return self.add("Mul", silu, value)

    def _norm(self, x: str, name: str) -> str:
        if self.config.norm == "rmsnorm":
            return self._rms_norm(x)
        weight, bias = f"{name}.weight", f"{name}.bias"
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=NORM_EPSILON)

    def _rms_norm(self, x: str) -> str:
        mean = self.add("ReduceMean", self.add("Mul", x, x), self.constant([-1]))
        epsilon = self.constant(np.finfo(np.float32).eps, np.float32)
        return self.add("Div", x, self.add("Sqrt", self.add("Add", mean, epsilon)))

    def _linear(self, x: str, name: str) -> str:
        y = self.add("MatMul", x, f"{name}.weight")
        bias = f"{name}.bias"
        return self.add("Add", y, bias) if bias in self.weights else y
