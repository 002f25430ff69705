"""Made-up chat templates of the kinds that models have, and tokenizers that are no plain bytes."""

from typing import Any, cast

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests import tiny

TURN = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
LOOP = "{% for message in messages %}"

# Writes the system text with the last message, if that is a user's, and a blank before answers.
LAST_USER = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] %}{% set messages = messages[1:] %}{% endif %}"
    + LOOP
    + "{% if message['role'] == 'user' %}{% if loop.last and system is defined %}"
    "{{ '[INST] ' + system + '\n\n' + message['content'] + '[/INST]' }}{% else %}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{% endif %}{% else %}"
    "{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
TRIMS = (
    LOOP + TURN.replace("message['content']", "message['content'] | trim") + "{% endfor %}" + ASK
)
OWN_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind to all.<|im_end|>\n' }}"
    "{% endif %}" + tiny.CHATML
)
# Thinks in every turn: an empty thought before a finished answer, or before an answer if told to.
EMPTY_THOUGHT = (
    LOOP
    + "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n'"
    " + message['content'].split('</think>')[-1].lstrip('\n') + '<|im_end|>\n' }}"
    "{% else %}" + TURN + "{% endif %}{% endfor %}" + ASK + "{% if add_generation_prompt and "
    "enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)
# Begins every answer with a thought, and shows none in finished answers.
OPEN_THOUGHT = (
    LOOP + "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n' + "
    "message['content'].split('</think>')[-1] + '<|im_end|>' }}"
    "{% else %}" + TURN + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
# Thinks unless told not to, by a variable or in the system text, which loses the word.
SWITCH = (
    "{% set ns = namespace(think=enable_thinking if enable_thinking is defined else true) %}"
    + LOOP
    + "{% if message['role'] == 'system' %}{% if '/no_think' in message['content'] %}"
    "{% set ns.think = false %}{% endif %}{{ '<|im_start|>system\nMode: ' + "
    "('/think' if ns.think else '/no_think') + '\n' + "
    "message['content'].replace('/no_think', '') + '<|im_end|>\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n' + "
    "('' if ns.think else '<think>\n\n</think>\n') + message['content'] + '<|im_end|>\n' }}"
    "{% else %}" + TURN + "{% endif %}{% endfor %}" + ASK + "{% if add_generation_prompt and "
    "not ns.think %}{{ '<think>\n\n</think>\n' }}{% endif %}"
)
# Answers in a channel of their own; the model chooses it.
CHANNELS = (
    LOOP + "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant<|channel|>final"
    "<|message|>' + message['content'] + '<|im_end|>' }}{% else %}{{ '<|im_start|>' + "
    "message['role'] + '<|message|>' + message['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}"
)
# Wants lists of splits, of texts and images: of a plain text it takes nothing.
SPLITS = (
    LOOP + "{{ '<|im_start|>' + message['role'] + '\n' }}{% for split in message['content'] %}"
    "{% if split['type'] == 'text' %}{{ split['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}" + ASK
)
USERS_ONLY = (
    LOOP + "{% if message['role'] != 'assistant' %}" + TURN + "{% endif %}{% endfor %}" + ASK
)
REFUSES_ANSWERS = (
    LOOP + "{% if message['role'] == 'assistant' %}{{ raise_exception('users come last') }}"
    "{% endif %}" + TURN + "{% endfor %}" + ASK
)
# Turn markers that are added tokens, though not flagged as special ones.
UNFLAGGED = (
    LOOP + "{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    "{% if tools %}{{ '<tool>' }}{% endif %}"
)
UNFLAGGED_TOKENS = ("<|user|>", "<|system|>", "<|assistant|>", "<tool>", "<other>", "\n\n")
ENDLESS = (
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}" + tiny.CHATML
)


def tokenizer(template: str | dict, *added: str) -> PreTrainedTokenizerFast:
    """Bytes with a template, and added tokens that are not flagged as special."""
    made = tiny.chatml_tokenizer()
    cast(Any, made).add_tokens(
        [AddedToken(token, special=False, normalized=False) for token in added]
    )
    made.chat_template = template
    return made


def lower_case() -> PreTrainedTokenizerFast:
    """Bytes, of a text in lower case."""
    made = tiny.chatml_tokenizer()
    made.backend_tokenizer.normalizer = normalizers.Lowercase()
    return made


def without_digits() -> PreTrainedTokenizerFast:
    """Bytes, of a text from which digits are dropped."""
    made = tiny.chatml_tokenizer()
    made.backend_tokenizer.normalizer = normalizers.Replace(Regex("[0-9]"), "")
    return made


def stripping() -> PreTrainedTokenizerFast:
    """Bytes, of a text without whitespace at its end."""
    made = tiny.chatml_tokenizer()
    made.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\s+$"), "")
    return made


def words(*known: str) -> PreTrainedTokenizerFast:
    """Whole words, and one token for all that are not known."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", *known])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
    fast.chat_template = (
        LOOP + "{{ message['role'] + ' : ' + message['content'] + ' \n ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant : ' }}{% endif %}"
    )
    return fast
