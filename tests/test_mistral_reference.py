"""Our model with the weights of transformers' Mistral does what that one does, window and all."""

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT
from tests.small_gpts import read_on

CONTEXT, WINDOW = 24, 7
THEIRS = MistralConfig(
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=4,
    hidden_size=32,
    intermediate_size=80,
    vocab_size=50,
    max_position_embeddings=512,
    sliding_window=WINDOW,
    rms_norm_eps=torch.finfo(torch.float32).eps,
    rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    attn_implementation="eager",
    bos_token_id=0,
    eos_token_id=0,
)


def imported(theirs: MistralForCausalLM) -> GPT:
    """The same model as ours. Our norms learn nothing, and theirs have learned nothing yet."""
    config = theirs.config
    ours = GPT(
        GPTConfig(
            vocab_size=config.vocab_size,
            block_size=CONTEXT,
            n_layer=config.num_hidden_layers,
            n_head=config.num_attention_heads,
            n_embd=config.hidden_size,
            mlp_ratio=config.intermediate_size / config.hidden_size,
            position="rotary",
            rope_base=config.rope_parameters["rope_theta"],
            attention_window=config.sliding_window,
            norm="rmsnorm",
            activation="swiglu",
            bias=False,
            head_bias=False,
        )
    ).eval()
    w = theirs.state_dict()
    mine = {"wte.weight": w["model.embed_tokens.weight"], "lm_head.weight": w["lm_head.weight"]}
    for layer in range(config.num_hidden_layers):
        joined = {
            "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "attn.proj": ("self_attn.o_proj",),
            "mlp.fc": ("mlp.gate_proj", "mlp.up_proj"),
            "mlp.proj": ("mlp.down_proj",),
        }
        for name, parts in joined.items():
            mine[f"blocks.{layer}.{name}.weight"] = torch.cat(
                [w[f"model.layers.{layer}.{part}.weight"] for part in parts]
            )
    ours.load_weights(mine)
    return ours


@pytest.mark.parametrize("spread", [1, 8], ids=["as initialised", "choosy heads"])
@torch.inference_mode()
def test_maps_and_logits_are_mistrals_far_beyond_the_context(spread: float) -> None:
    torch.manual_seed(0)
    theirs = MistralForCausalLM(THEIRS).eval()
    for parameter in theirs.parameters():
        if parameter.ndim > 1:
            parameter *= spread
    ours = imported(theirs)
    ids = torch.randint(0, 50, (1, 5 * CONTEXT), generator=torch.Generator().manual_seed(1))
    expected = theirs(ids, output_attentions=True)
    maps = attention_maps(ours, ids[0].tolist())
    assert (maps - torch.cat(expected.attentions)).abs().max() < 1e-5
    largest = expected.logits.abs().max()
    assert (ours(ids) - expected.logits).abs().max() < 1e-5 * max(1, largest)
    assert (read_on(ours, ids) - expected.logits).abs().max() < 1e-5 * max(1, largest)
