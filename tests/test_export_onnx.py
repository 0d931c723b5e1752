"""A network taken out as ONNX gives the same logits in onnxruntime."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tokenizers
import torch

from model.config import BigramConfig, GPTConfig, ModelConfig
from model.interop.exporting import export_run
from model.run_folder import RunFolder
from tests.conftest import CHARACTERS, write_run
from tests.small_gpts import DESIGNS, random_gpt

SHIPPED = Path(__file__).resolve().parents[1] / "checkpoints"
SIZE = len(CHARACTERS)
MODELS: dict[str, ModelConfig] = {
    **DESIGNS,
    "window": DESIGNS["window"].model_copy(update={"rope_base": 50.0}),
    "nanogpt": DESIGNS["gpt2"].model_copy(
        update={"activation": "gelu_erf", "qkv_bias": False, "bias": False}
    ),
    "bigram": BigramConfig(vocab_size=SIZE),
}


def random_run(root: Path, config: ModelConfig) -> RunFolder:
    config = config.model_copy(update={"vocab_size": SIZE})
    run = write_run(root, "small", config, steps=(10,))
    if isinstance(config, GPTConfig):
        run.write_weights(random_gpt(config).float())
    return run


def session(path: Path) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(onnx.load(path), full_check=True)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    return onnxruntime.InferenceSession(path, quiet, providers=["CPUExecutionProvider"])


def require_same(network: onnxruntime.InferenceSession, run: RunFolder, shape: tuple) -> None:
    ids = torch.randint(0, SIZE, shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = run.load_model()(ids)
    (logits,) = network.run(["logits"], {"ids": ids.numpy()})
    assert logits.shape == expected.shape and logits.dtype == np.float32
    assert np.abs(logits - expected.numpy()).max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_same_for_any_batch_and_length(name: str, tmp_path: Path) -> None:
    config = MODELS[name]
    run = random_run(tmp_path, config)
    network = session(export_run(run, "onnx", tmp_path)["model.onnx"])
    assert [(i.name, i.type, i.shape) for i in network.get_inputs()] == [
        ("ids", "tensor(int64)", ["batch", "length"])
    ]
    assert [(o.name, o.shape) for o in network.get_outputs()] == [
        ("logits", ["batch", "length", SIZE])
    ]
    for shape in [(1, 1), (1, 12), (3, 2), (2, 5)]:
        require_same(network, run, shape)
    if run.load_model().endless or name == "bigram":
        require_same(network, run, (1, 200))
    else:
        with pytest.raises(Exception, match="out of"):
            network.run(None, {"ids": np.zeros((1, 13), np.int64)})


def test_a_shipped_run(tmp_path: Path) -> None:
    run = RunFolder(SHIPPED / "modern")
    files = export_run(run, "onnx", tmp_path)
    assert sorted(files) == ["README.md", "model.onnx", "tokenizer.json"]
    require_same(session(files["model.onnx"]), run, (2, 30))
    library = tokenizers.Tokenizer.from_file(str(files["tokenizer.json"]))
    assert library.encode("ROMEO:\n").ids == run.read_tokenizer().encode("ROMEO:\n")
    assert "Run `modern` of Sidelight:" in files["README.md"].read_text()


def test_a_snapshot_has_its_own_weights(tmp_path: Path) -> None:
    run = random_run(tmp_path, DESIGNS["plain"])
    files = export_run(run, "onnx", tmp_path, 10)
    assert "at step 10" in files["README.md"].read_text()
    stored = {w.name: w for w in onnx.load(files["model.onnx"]).graph.initializer}
    weights = run.load_model(10).state_dict()
    assert weights.keys() <= stored.keys()
    for name, weight in weights.items():
        found = torch.tensor(onnx.numpy_helper.to_array(stored[name]))
        assert torch.equal(found, weight) or torch.equal(found.T, weight), name


def test_the_example_in_the_folder_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = random_run(tmp_path, DESIGNS["plain"])
    text = export_run(run, "onnx", tmp_path)["README.md"].read_text()
    monkeypatch.chdir(tmp_path)
    exec(text.split("```python\n")[1].split("```")[0], {})
    ids = torch.tensor([run.read_tokenizer().encode("\n")])
    likeliest = run.load_model()(ids)[0, -1].argmax().item()
    assert capsys.readouterr().out.strip() == repr(CHARACTERS[likeliest])
    assert json.loads((tmp_path / "tokenizer.json").read_text())["model"]["type"] == "WordLevel"
