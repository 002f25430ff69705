"""A planted model in which one layer writes the persona and a later one reads it."""

from transformers import LlamaForCausalLM

from tests import tiny

WRITER, READER = tiny.PLANTED_LAYER, 2
SAID_PERSONA, RELAYED = 5, 6


def relay_model() -> LlamaForCausalLM:
    """Make a planted model whose persona is read by head (2, 0) before the answer hangs on it.

    Head (1, 2) writes the persona at every position, as in `tiny.planted_model`. Head (2, 0)
    averages what was written over all positions, and the MLP of layer 3 multiplies that with the
    truth.
    """
    model = tiny.planted_model()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name in ("gate_proj", "up_proj", "down_proj"):
        moved = state[f"model.layers.2.mlp.{name}.weight"]
        state[f"model.layers.3.mlp.{name}.weight"] = moved.clone()
        moved.zero_()
    gate = state["model.layers.3.mlp.gate_proj.weight"]
    gate[:, RELAYED] = gate[:, SAID_PERSONA]
    gate[:, SAID_PERSONA] = 0
    state["model.layers.2.self_attn.v_proj.weight"][0, SAID_PERSONA] = 1.0
    state["model.layers.2.self_attn.o_proj.weight"][RELAYED, 0] = 10.0
    model.load_state_dict(state)
    return model.eval()


def decoy_model() -> LlamaForCausalLM:
    """Make a planted model with a later head that reads the persona, and nothing reads the head."""
    model = tiny.planted_model()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state["model.layers.3.self_attn.v_proj.weight"][0, SAID_PERSONA] = 1.0
    state["model.layers.3.self_attn.o_proj.weight"][RELAYED, 0] = 10.0
    model.load_state_dict(state)
    return model
