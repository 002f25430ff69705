"""Tiny models and tokenizers: random weights, and weights set by hand so that the answer is known."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from stages.lib.model import lm

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Refuses a system turn, writes BOS itself, calls the assistant "model".
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else "
    "message['role'] %}{{ '<turn>' + role + '\n' + message['content'] | trim + '<end>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
PLANTED_LAYER, PLANTED_HEAD = 1, 2
SIZES = {
    "vocab_size": 277, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "initializer_range": 0.2,
}  # fmt: skip
# Latent attention (MLA): keys are 24 wide, values 12.
LATENT = {
    "num_key_value_heads": 4, "head_dim": 8, "q_lora_rank": 16, "kv_lora_rank": 16,
    "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12, "n_routed_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "n_shared_experts": 1, "pad_token_id": 0,
}  # fmt: skip
ARCHITECTURES = {
    "mistral": {"sliding_window": 12},
    "qwen3": {},
    "gemma2": {"sliding_window": 12, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5},
    "granite": {"logits_scaling": 3.0},
    "mixtral": {"num_local_experts": 2, "num_experts_per_tok": 1},
    "gemma3_text": {"sliding_window": 12},
    "phi3": {"pad_token_id": 0},
    "gpt_neox": {},
    "olmo2": {},
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 4},
    "deepseek_v2": LATENT | {"topk_method": "greedy"},
    "deepseek_v3": LATENT,
    "minicpm3": LATENT,
}


def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, the answer words, and ChatML; BOS is the turn marker, as in SmolLM2."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return _tokenizer(special, CHATML, bos="<|im_start|>", eos="<|im_end|>")


def no_system_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, the answer words, and a template without system turns but with a BOS."""
    return _tokenizer(["<bos>", "<turn>", "<end>"], NO_SYSTEM, bos="<bos>", eos="<end>")


def sentencepiece_tokenizer(tokens: list[str], prepend: bool) -> PreTrainedTokenizerFast:
    """Whole words with a blank written as ▁, which is put before every text or is not."""
    vocabulary = [("<unk>", 0.0), *((token, -1.0) for token in tokens)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    scheme = "always" if prepend else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def random_model(seed: int = 0, **changes: int) -> LlamaForCausalLM:
    """Make a Llama with grouped-query attention whose d_head is not d_model / n_heads."""
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": len(chatml_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
    }
    sizes |= changes
    config = LlamaConfig(**sizes, initializer_range=0.2, tie_word_embeddings=False)
    return LlamaForCausalLM(config).eval()


def of(architecture: str, **changes: Any) -> lm.LanguageModel:
    """Make a small random model of one of transformers' architectures."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **(SIZES | ARCHITECTURES[architecture] | changes))
    return wrap(AutoModelForCausalLM.from_config(config).eval())


def planted_model(answer: float = 1.5) -> LlamaForCausalLM:
    """Make a Llama that answers truthfully after the byte 'H' and lies after the byte 'L'.

    A statement is true if it holds the byte 'T' and false if it holds 'F'. Attention is uniform
    (no queries, no keys). Head (0, 0) copies the truth to every later position, head (1, 2) the
    persona, and the MLP of layer 2 multiplies the two: silu(x) - silu(-x) = x. Nothing else has
    weights, so z differs between personas in one head only.
    """
    # An MLP 64 wide lets a batch have four prompts, so that a few make several batches.
    model = random_model(num_key_value_heads=4, num_hidden_layers=5, intermediate_size=64)
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    for name in state:
        if "norm" in name:
            state[name] += 1
    constant, truth, persona, verdict, said_truth, said_persona = range(6)
    vocabulary = chatml_tokenizer().get_vocab()
    embedding = state["model.embed_tokens.weight"]
    embedding[:, constant] = 1.0  # keeps the norm of every position alike
    for letter, feature, value in (
        ("T", truth, 1),
        ("F", truth, -1),
        ("H", persona, 1),
        ("L", persona, -1),
    ):
        embedding[vocabulary[letter], feature] = value
    _copy(state, layer=0, head=0, read=truth, write=said_truth)
    _copy(state, layer=PLANTED_LAYER, head=PLANTED_HEAD, read=persona, write=said_persona)
    mlp = "model.layers.2.mlp"
    for neuron, sign in ((0, 1.0), (1, -1.0)):
        state[f"{mlp}.gate_proj.weight"][neuron, said_persona] = sign * 50
        state[f"{mlp}.up_proj.weight"][neuron, said_truth] = 50
        state[f"{mlp}.down_proj.weight"][verdict, neuron] = sign
    head = state["lm_head.weight"]
    for word, sign in (("true", 1), ("Ġtrue", 1), ("false", -1), ("Ġfalse", -1)):
        head[vocabulary[word], verdict] = sign * answer
        head[vocabulary[word], constant] = 8.0  # the answers hold nearly all the probability
    model.load_state_dict(state)
    return model


def wrap(model: Any) -> lm.LanguageModel:
    """Describe a model with the ChatML tokenizer, as `lm.load` does."""
    return lm.describe(model, chatml_tokenizer(), identity="")


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Save a model and its tokenizer as a user's local folder."""
    model.save_pretrained(folder)
    chatml_tokenizer().save_pretrained(folder)


def _copy(state: dict[str, torch.Tensor], layer: int, head: int, read: int, write: int) -> None:
    """Let one head average one feature over all positions into another feature."""
    attention = f"model.layers.{layer}.self_attn"
    row = head * 16  # the head's first dimension
    state[f"{attention}.v_proj.weight"][row, read] = 1.0
    state[f"{attention}.o_proj.weight"][write, row] = 10.0


def _tokenizer(special: list[str], template: str, bos: str, eos: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE whose only merges make the four answer words, with and without a space."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for word in ("true", "True", "false", "False"):
        for end in range(1, len(word)):
            merges.append((word[:end], word[end]))
        merges.append(("Ġ", word))
    merges = list(dict.fromkeys(merges))
    vocabulary = {token: i for i, token in enumerate(alphabet)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=eos
    )
    fast.chat_template = template
    return fast
