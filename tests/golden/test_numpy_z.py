"""Captured z and answers against Llama written out in NumPy, with grouped-query attention."""

import numpy as np

from stages.lib import forward
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from tests import tiny


def rms_norm(x, weight, eps=1e-6):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def rotate(x, theta=10000.0):
    """Rotary embedding of x, (n_tokens, n_heads, d_head): pairs are half a head apart."""
    n_tokens, _, d_head = x.shape
    angle = np.arange(n_tokens)[:, None] * theta ** (-np.arange(0, d_head, 2) / d_head)
    angle = np.concatenate([angle, angle], axis=-1)[:, None]
    left, right = np.split(x, 2, axis=-1)
    return x * np.cos(angle) + np.concatenate([-right, left], axis=-1) * np.sin(angle)


def llama(weights, tokens, n_layers, n_heads, n_kv_heads):
    """Return z of all layers at the last token, (n_layers, n_heads, d_head), and the logits."""
    x = weights["model.embed_tokens.weight"][tokens]
    n_tokens, zs = len(tokens), []
    for i in range(n_layers):
        w = {k.split(f"layers.{i}.")[1]: v for k, v in weights.items() if f"layers.{i}." in k}
        normed = rms_norm(x, w["input_layernorm.weight"])
        q, k, v = (
            (normed @ w[f"self_attn.{name}_proj.weight"].T).reshape(n_tokens, -1, 16)
            for name in "qkv"
        )
        q, k = rotate(q), rotate(k)
        z = np.empty_like(q)
        for head in range(n_heads):
            group = head // (n_heads // n_kv_heads)  # the key-value head that it shares
            scores = q[:, head] @ k[:, group].T / np.sqrt(16)
            scores[np.triu_indices(n_tokens, 1)] = -np.inf
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            z[:, head] = attention / attention.sum(-1, keepdims=True) @ v[:, group]
        zs.append(z[-1])
        x = x + z.reshape(n_tokens, -1) @ w["self_attn.o_proj.weight"].T
        normed = rms_norm(x, w["post_attention_layernorm.weight"])
        gate = normed @ w["mlp.gate_proj.weight"].T
        up = normed @ w["mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w["mlp.down_proj.weight"].T
    logits = rms_norm(x[-1], weights["model.norm.weight"]) @ weights["lm_head.weight"].T
    return np.stack(zs), logits


def test_z_and_readout_are_those_of_llama():
    model = tiny.wrap(tiny.random_model(seed=3))
    weights = {k: v.double().numpy() for k, v in model.model.state_dict().items()}
    random = np.random.default_rng(0)
    prompts = [random.integers(0, 250, n).tolist() for n in (12, 17, 23)]
    answers = readout.answers(model.tokenizer, ReadoutConfig(("true",), ("false",)))
    captured = next(forward.capture(model, answers, prompts, [-1], 9, "test"))
    for row, tokens in enumerate(prompts):
        z, logits = llama(weights, tokens, model.n_layers, model.n_heads, model.n_kv_heads)
        np.testing.assert_allclose(captured["z"][row, 0], z, atol=1e-5)
        p = np.exp(logits - logits.max())
        p /= p.sum()
        expected = [p[list(ids)].sum() for ids in (answers.true_ids, answers.false_ids)]
        np.testing.assert_allclose(captured["readout"][row], expected, atol=1e-6)


def test_heads_do_not_share_z_even_where_they_share_keys_and_values():
    model = tiny.wrap(tiny.random_model(seed=3))
    answers = readout.answers(model.tokenizer, ReadoutConfig(("true",), ("false",)))
    captured = next(forward.capture(model, answers, [list(range(20))], [-1], 9, "test"))
    z = captured["z"][0, 0]
    assert model.n_heads == 2 * model.n_kv_heads
    assert np.abs(z[:, 0] - z[:, 1]).max() > 1e-2
