"""Our model with the weights of transformers' GPT-2 does what that one does."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT

THEIRS = GPT2Config(
    n_layer=3,
    n_head=4,
    n_embd=32,
    n_positions=64,
    vocab_size=50,
    attn_implementation="eager",
    bos_token_id=0,
    eos_token_id=0,
)


def imported(theirs: GPT2LMHeadModel) -> GPT:
    """The same model as ours. GPT-2 keeps its linear layers as (in, out), and we as (out, in)."""
    config = theirs.config
    ours = GPT(
        GPTConfig(
            vocab_size=config.vocab_size,
            block_size=config.n_positions,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_embd=config.n_embd,
            activation="gelu",
            qkv_bias=True,
            head_bias=False,
            tie_weights=True,
        )
    ).eval()
    parts = {
        "ln_1": "norm_1",
        "attn.c_attn": "attn.qkv",
        "attn.c_proj": "attn.proj",
        "ln_2": "norm_2",
        "mlp.c_fc": "mlp.fc",
        "mlp.c_proj": "mlp.proj",
    }
    names = {"wte.weight": "wte.weight", "wpe.weight": "wpe.weight"}
    for end in ("weight", "bias"):
        names[f"ln_f.{end}"] = f"norm.{end}"
        for layer in range(config.n_layer):
            for their_name, our_name in parts.items():
                names[f"h.{layer}.{their_name}.{end}"] = f"blocks.{layer}.{our_name}.{end}"
    weights = theirs.transformer.state_dict()
    assert weights.keys() == names.keys(), "every weight has its place"
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    ours.load_weights(
        {names[n]: w.T.contiguous() if n.endswith(turned) else w for n, w in weights.items()}
    )
    return ours


@pytest.mark.parametrize("spread", [1, 8], ids=["as initialised", "choosy heads"])
@torch.inference_mode()
def test_maps_and_logits_are_gpt2s(spread: float) -> None:
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(THEIRS).eval()
    for parameter in theirs.parameters():
        if spread > 1:
            torch.nn.init.normal_(parameter, std=0.02 * spread)
    ours = imported(theirs)
    ids = torch.randint(0, 50, (1, 64), generator=torch.Generator().manual_seed(1))
    expected = theirs(ids, output_attentions=True)
    maps = attention_maps(ours, ids[0].tolist())
    assert (maps - torch.cat(expected.attentions)).abs().max() < 1e-5
    assert (ours(ids) - expected.logits).abs().max() < 1e-5
