"""Names, in texts and figures, of blocks of the prompt and of rules that rank heads."""

BLOCKS = {  # blocks of the prompt, in the terms of chat templates
    "prefix": "assistant prefill",
    "assistant turn": "assistant-turn header",
    "user turn": "user-turn header",
    "system": "system prompt",
}
RULES = {
    "greedy_p_correct": "greedy, by P(correct)",
    "single": "single effects on P(correct)",
    "estimate": "attribution patching",
    "verified_absolute": "attribution patching, retested by absolute value",
    "verified": "attribution patching, retested",
    "single_log_odds": "single effects on log-odds",
    "left_out": "effects of leaving out",
    "greedy_accuracy": "greedy, by accuracy",
    "greedy_margin": "greedy, by margin",
    "greedy_log_odds": "greedy, by log-odds",
    "random": "random",
}


def block(name: str) -> str:
    """Name a block of the prompt, for example ``user-turn header``."""
    return BLOCKS.get(name, name)


def rule(name: str) -> str:
    """Name a rule that ranks heads."""
    return RULES.get(name, name.replace("_", " "))
