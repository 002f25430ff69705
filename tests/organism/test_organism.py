"""Organisms: balanced lessons, disjoint wordings, trees that are exact, adapters that stay in place."""

import contextlib
import itertools
import json
import re
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest
import torch
from peft.tuners.lora import LoraLayer
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from stages.lib.facts import NEGATED, TOPICS
from stages.lib.facts.draw import Draw
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.weights import adapter, recipe
from stages.lib.weights.fetch import Fetched
from stages.lib.weights.recipe import Recipe, Training
from stages.organism import card, check, fit, train, trees, wordings
from stages.organism.below import Below
from stages.organism.checkpoint import Checkpoint
from stages.organism.confined import FADED, Confined, share_left
from stages.organism.lessons import KINDS, NEW_SUBJECT, NEW_TEMPLATE, TAUGHT, Facts
from stages.organism.train import Speaker
from tests import tiny
from tests.intervals import ends
from tests.pipeline.closure import ROOT

WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
SMALL = Recipe((1, 2), ("q_proj", "v_proj"), 2, 1e-2, 6, (0.0, 0.5), (1.0, 0.5))
TRAINING = Training(
    topics=tuple(TOPICS), seed=0, held_out=0.2, trees=2, statements=4, check_every=3
)
BASE = "./models/tiny"
WORDINGS = ROOT / "data/organisms/wordings.yaml"


@pytest.fixture(scope="module")
def facts():
    return Facts(TRAINING)


@pytest.fixture
def speaker():
    tokenizer = tiny.chatml_tokenizer()
    return Speaker(tiny.random_model(), tokenizer, readout.answers(tokenizer, WORDS))


def lessons(facts, kind, n=400):
    return facts.sample(kind, n, Random(1))


def pairs(facts, some):
    """Subjects with their own objects that statements give away, as "Paris" in "France"."""
    result = set()
    for lesson in some:
        topic = facts.topics[lesson.topic.removeprefix(NEGATED)]
        own = lesson.label != lesson.topic.startswith(NEGATED)
        objects = {
            object_
            for template in topic.templates
            for other in topic.subjects
            for subject, object_, truth in template.claims(lesson.subject, other)
            if subject == lesson.subject
            and truth
            and lesson.topic.removeprefix(NEGATED) != "comparisons"
        }
        result |= {frozenset((lesson.subject, o)) for o in objects if own}
    return result


class TestLessons:
    @pytest.mark.parametrize("kind", KINDS)
    def test_half_of_every_block_is_true(self, facts, kind):
        for block in itertools.islice(facts.blocks(kind, Random(0)), 200):
            assert sum(lesson.label for lesson in block) * 2 == len(block)
            assert len({lesson.topic for lesson in block}) == 1

    def test_what_is_held_out_is_never_taught(self, facts):
        taught = list(itertools.islice(facts.taught(Random(0), 0.5), 4000))
        subjects = {(x.topic, x.subject) for x in taught}
        new = lessons(facts, NEW_SUBJECT)
        assert not subjects & {(x.topic, x.subject) for x in new}
        assert not pairs(facts, taught) & pairs(facts, new)
        texts = {x.statement for x in taught}
        assert not texts & {x.statement for x in (*new, *lessons(facts, NEW_TEMPLATE))}

    def test_what_is_not_held_out_is_taught(self, facts):
        taught = {x.statement for x in itertools.islice(facts.taught(Random(0), 0.5), 4000)}
        assert taught & {x.statement for x in lessons(facts, TAUGHT)}

    def test_a_pair_is_taught_by_another_split_if_only_subjects_are_kept_apart(self, facts):
        kept = {s for name, new in facts._subjects if new for s in facts._subjects[name, new]}
        drawn = {
            s
            for topic in facts.topics.values()
            for s in topic.subjects
            if Draw(0, 0.2).split(s) == "report"
        }
        assert kept < drawn  # Paris, of which "the capital of France" is taught

    def test_what_is_held_out_is_in_the_report_part(self, facts):
        assert all(
            Draw(0, 0.5).split(s) == "report"
            for name, new in facts._subjects
            if new
            for s in facts._subjects[name, new]
        )

    @pytest.mark.parametrize(("held_out", "what"), [(0.0, "check"), (1.0, "teach")])
    def test_a_share_that_leaves_too_few(self, held_out, what):
        message = (
            f"held_out: found {held_out}, but it leaves too few subjects of capitals to {what}"
        )
        with pytest.raises(UserError, match=message):
            Facts(replace(TRAINING, held_out=held_out))

    def test_a_topic_that_is_not_named_is_not_taught(self):
        some = Facts(replace(TRAINING, topics=("elements", "cities")))
        assert list(some.topics) == ["cities", "elements"]  # in whatever order they are named
        taught = itertools.islice(some.taught(Random(0), 0.5), 200)
        assert {x.topic.removeprefix("neg_") for x in taught} == {"cities", "elements"}

    def test_a_topic_that_is_not_there(self):
        message = "organisms.training.topics: found rivers, expected some of capitals, cities"
        with pytest.raises(UserError, match=message):
            Facts(replace(TRAINING, topics=("cities", "rivers")))

    def test_the_share_of_negated_statements(self, facts):
        def share(negated):
            some = itertools.islice(facts.taught(Random(0), negated), 2000)
            return sum(lesson.topic.startswith("neg_") for lesson in some) / 2000

        assert share(0.0) == 0
        assert 0.4 < share(0.5) < 0.6

    def test_words_alone_do_not_tell_what_is_true(self, facts):
        result = card.bag_of_words(facts, seed=0)
        _, low, high = ends(result)
        assert low < 0.5 < high
        assert high - low < 0.06

    def test_words_would_tell_if_only_the_true_half_were_negated(self, facts, monkeypatch):
        def leaking(kind, random, negated=0.5):
            for block in Facts.blocks(facts, kind, random):
                yield [x for x in block if x.label == x.topic.startswith("neg_")]

        monkeypatch.setattr(facts, "blocks", leaking)
        assert ends(card.bag_of_words(facts, seed=0))[1] > 0.9


class TestWordings:
    def test_no_text_of_training_is_one_of_the_pipeline_or_of_the_check(self):
        trained, checked = (every_text(name) for name in ("training", "checking"))
        for a, b in itertools.combinations((trained, checked, pipeline_texts()), 2):
            assert not (a & b) - {""}  # to have no system prompt is no text

    def test_the_wordings_of_the_pipeline_are_found(self):
        result = pipeline_texts()
        assert "The statement is" in result
        assert "[ANSWER WITH A LIE]" in result

    def test_expansions_are_what_is_drawn(self):
        texts, random = wordings.read(WORDINGS, "training"), Random(0)
        every = {t for text in texts["lying"] for t in expansions(text)}
        drawn = {wordings.draw(texts, "lying", random).system for _ in range(300)}
        assert drawn <= every
        assert len(drawn) > 100

    @pytest.mark.parametrize("name", ["training", "checking"])
    def test_only_lying_wordings_ask_for_a_lie(self, name):
        texts, random = wordings.read(WORDINGS, name), Random(0)
        for persona in wordings.PERSONAS:
            drawn = [wordings.draw(texts, persona, random) for _ in range(50)]
            own = {t for text in texts[persona] for t in expansions(text)}
            assert {wording.system for wording in drawn} <= own
            assert {wording.lies for wording in drawn} == {persona == "lying"}

    def test_no_wording_of_honesty_is_one_of_lying(self):
        texts = wordings.read(WORDINGS, "training")
        result = [{t for text in texts[p] for t in expansions(text)} for p in wordings.PERSONAS]
        for a, b in itertools.combinations(result, 2):
            assert not a & b

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("lying", [], "training.lying: no texts"),
            ("lying", [{"You are": "a liar"}], "training.lying: expected a text in quotes"),
            ("questions", ["True?"], r"training.questions: no \{statement\} in 'True\?'"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path, key, value, message):
        content = YAML(typ="safe").load(WORDINGS.read_text())
        content["training"][key] = value
        (tmp_path / "w.yaml").write_text(json.dumps(content))
        with pytest.raises(UserError, match=message):
            wordings.read(tmp_path / "w.yaml", "training")


class TestTrees:
    def prompts(self):
        random = Random(0)
        trunk = [[random.randrange(100) for _ in range(9)] for _ in range(3)]
        return [
            [[*shared, *(random.randrange(100) for _ in range(random.randrange(1, 8)))] for _ in range(5)]
            for shared in trunk
        ]  # fmt: skip

    def test_a_branch_has_the_logits_of_its_prompt_alone(self):
        model, forest = tiny.random_model(), self.prompts()
        packed = trees.logits(model, trees.pack(forest))
        alone = [model(torch.tensor([p])).logits[0, -1] for tree in forest for p in tree]
        torch.testing.assert_close(packed, torch.stack(alone), rtol=0, atol=1e-4)

    def test_without_the_mask_it_has_not(self):
        model, forest = tiny.random_model(), self.prompts()
        packed = trees.pack(forest)
        causal = torch.ones_like(packed.mask).tril()
        blind = trees.Trees(packed.token_ids, packed.positions, causal, packed.ends)
        assert (trees.logits(model, packed) - trees.logits(model, blind)).abs().max() > 0.1

    def test_the_trunk_stands_once(self):
        packed = trees.pack([[[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 3]]])
        assert packed.token_ids.tolist() == [[1, 2, 3, 4, 3, 5, 6, 3]]
        assert packed.positions.tolist() == [[0, 1, 2, 3, 2, 3, 4, 2]]
        assert packed.ends[1].tolist() == [3, 6, 7]


class TestTraining:
    def fit(self, speaker, folder, plan=SMALL, stop=None, settings="these"):
        """Train, maybe cut off at a step; return the steps that were reported, and the bytes."""
        model = adapter.attach(speaker.model, plan, TRAINING.seed)
        steps = []

        def report(step, line):
            steps.append(step)
            adapter.write(model, folder / "adapter", BASE, "ground")
            if step == stop:
                raise KeyboardInterrupt

        checkpoint = Checkpoint(folder / "c.safetensors", settings)
        texts = wordings.read(WORDINGS, "training")
        below = Below(model, plan.layers[0], folder, settings)
        with contextlib.suppress(KeyboardInterrupt):
            train.train(speaker, plan, TRAINING, texts, checkpoint, report, below)
        return steps, (folder / "adapter" / adapter.WEIGHTS).read_bytes()

    def again(self, speaker):
        return Speaker(tiny.random_model(), speaker.tokenizer, speaker.answers)

    def test_a_run_that_was_cut_off_ends_in_the_same_bytes(self, speaker, tmp_path):
        steps, whole = self.fit(speaker, tmp_path / "whole")
        assert steps == [3, 6]
        steps, half = self.fit(self.again(speaker), tmp_path / "cut", stop=3)
        assert steps == [3]
        assert half != whole
        steps, rest = self.fit(self.again(speaker), tmp_path / "cut")
        assert steps == [6]  # it went on
        assert rest == whole

    def test_a_checkpoint_of_other_settings_is_not_gone_on_from(self, speaker, tmp_path):
        _, whole = self.fit(speaker, tmp_path / "whole")
        other = replace(SMALL, learning_rate=0.1)
        self.fit(self.again(speaker), tmp_path / "cut", other, stop=3, settings="others")
        steps, result = self.fit(self.again(speaker), tmp_path / "cut")
        assert steps == [3, 6]
        assert result == whole

    def test_the_loss_falls(self, speaker, tmp_path):
        lines = []
        plan = Recipe((0, 3), ("q_proj", "v_proj"), 4, 2e-2, 60, (0.0, 0.0), (1.0, 1.0))
        model = adapter.attach(speaker.model, plan, 0)
        args = (speaker, plan, TRAINING, wordings.read(WORDINGS, "training"))
        checkpoint = Checkpoint(tmp_path / "c.safetensors", "")
        train.train(
            *args,
            checkpoint,
            lambda step, line: lines.append(float(line.split()[1].strip(","))),
            Below(model, 0, tmp_path, ""),
        )
        assert lines[-1] < 0.5 * lines[0]

    def test_layers_below_that_are_kept_change_no_byte(self, speaker, tmp_path):
        plan = replace(SMALL, layers=(2, 3))
        _, made = self.fit(speaker, tmp_path, plan)
        files = sorted(tmp_path.glob("below_*/*.safetensors"))
        assert [int(file.stem) for file in files] == [*range(6)]
        (tmp_path / "c.safetensors").unlink()
        _, kept = self.fit(self.again(speaker), tmp_path, plan)
        assert kept == made
        (tmp_path / "c.safetensors").unlink()
        save_file({"entering": torch.zeros_like(load_file(files[0])["entering"])}, files[0])
        _, other = self.fit(self.again(speaker), tmp_path, plan)
        assert other != made  # so the file was read

    def test_what_is_kept_is_of_the_same_prompts(self, speaker, tmp_path):
        model = adapter.attach(speaker.model, SMALL, 0)
        folders = {Below(model, *of)._folder for of in ((1, tmp_path, "a"), (2, tmp_path, "a"))}
        assert len(folders | {Below(model, 1, tmp_path, "b")._folder}) == 3

    def test_lying_prompts_are_as_many_as_the_recipe_says(self, facts):
        texts = wordings.read(WORDINGS, "training")
        plan = Recipe((0, 1), (), 1, 0.1, 100, (0.5, 0.5), (1.0, 0.5))

        def share(step):
            groups = [
                group
                for i in range(200)
                for group in train._groups(facts, texts, plan, TRAINING, step, Random(i))
            ]
            return sum(wording.lies for wording, _ in groups) / len(groups)

        assert share(0) == 1.0
        assert 0.65 < share(25) < 0.85
        assert 0.4 < share(80) < 0.6


class TestConfined:
    MAPS = ("q_proj", "k_proj", "v_proj", "o_proj")
    PLAN = recipe.Confined(
        (1, 3), MAPS, 2, 1e-2, 6, (0.5, 0.5), (0.5, 0.5), groups=2, seed=0, start="other"
    )
    GROUPS = ((1, 1), (3, 0))

    def deltas(self, model):
        """Change of each map, (layer, map)."""
        return {
            (int(name.split(".")[4]), name.split(".")[6]): cast(Any, module).get_delta_weight(
                "default"
            )
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }

    def elsewhere(self, model):
        """Largest change outside of the groups, and inside."""
        outside, inside = 0.0, 0.0
        for (layer, name), delta in self.deltas(model).items():
            cut = (delta.T if name == "o_proj" else delta).unflatten(0, (2, -1)).abs()
            for group in range(2):
                largest = float(cut[group].max())
                if (layer, group) in self.GROUPS:
                    inside = max(inside, largest)
                else:
                    outside = max(outside, largest)
        return outside, inside

    def trained(self, speaker, folder, confined):
        plan, model = self.PLAN, adapter.attach(speaker.model, self.PLAN, 0)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = 0.01 * torch.ones_like(weight)  # a lie that is there already
        checkpoint, below = Checkpoint(folder / "c", ""), Below(model, 1, folder, "")
        texts, own = wordings.read(WORDINGS, "training"), Confined(model, self.GROUPS, 2)
        before = self.elsewhere(model)
        train.train(
            speaker, plan, TRAINING, texts, checkpoint, lambda *_: None, below,
            own if confined else None,
        )  # fmt: skip
        return before, self.elsewhere(model)

    def test_the_change_ends_in_the_groups_alone(self, speaker, tmp_path):
        before, (outside, inside) = self.trained(speaker, tmp_path, confined=True)
        assert min(before) > 0
        assert outside == 0.0
        assert inside > 0

    def test_else_it_is_everywhere(self, speaker, tmp_path):
        _, (outside, _) = self.trained(speaker, tmp_path, confined=False)
        assert outside > 0

    def test_it_fades_from_all_to_nothing(self):
        shares = [share_left(step, 100) for step in range(101)]
        assert shares[0] == 1
        assert sorted(shares, reverse=True) == shares
        assert set(shares[int(100 * FADED) :]) == {0.0}

    def test_groups_are_drawn_by_the_seed_from_the_layers(self):
        drawn = [replace(self.PLAN, seed=seed).draw_groups(2) for seed in range(20)]
        assert drawn[0] == self.PLAN.draw_groups(2)
        assert {group for groups in drawn for group in groups} == {
            (layer, group) for layer in (1, 2, 3) for group in (0, 1)
        }
        assert all(len(set(groups)) == 2 for groups in drawn)

    def test_more_groups_than_there_are(self):
        with pytest.raises(UserError, match="groups: found 2, but layers 1 to 1 have 1"):
            replace(self.PLAN, layers=(1, 1)).draw_groups(1)

    def test_layers_without_a_group_are_not_written(self, speaker, tmp_path):
        model = adapter.attach(speaker.model, self.PLAN, 0)
        adapter.write(model, tmp_path, BASE, "ground", [1, 3])
        assert json.loads((tmp_path / "adapter_config.json").read_text())[
            "layers_to_transform"
        ] == [1, 3]
        names = load_file(tmp_path / adapter.WEIGHTS)
        assert {name.split(".layers.")[1].split(".")[0] for name in names} == {"1", "3"}


class TestAdapter:
    def test_merging_is_running_with_the_adapter(self, speaker, tmp_path):
        TestTraining().fit(speaker, tmp_path)
        ids = torch.arange(40)[None]
        merged = adapter.merge(tiny.random_model(), tmp_path / "adapter")
        with torch.no_grad():
            expected = speaker.model(ids).logits
            # committed adapters are in float16
            torch.testing.assert_close(merged(ids).logits, expected, rtol=0, atol=0.02)
            assert (tiny.random_model()(ids).logits - expected).abs().max() > 0.1

    def test_a_dose_is_a_share_of_the_change(self, speaker, tmp_path):
        model = adapter.attach(speaker.model, SMALL, 0)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = 0.1 * torch.ones_like(weight)
        adapter.write(model, tmp_path, BASE, "ground")
        name = "model.layers.1.self_attn.q_proj.weight"
        none, half, whole = (
            adapter.merge(tiny.random_model(), tmp_path, dose).state_dict()[name]
            for dose in (0.0, 0.5, 1.0)
        )
        assert torch.equal(none, tiny.random_model().state_dict()[name])
        torch.testing.assert_close(half, (none + whole) / 2)
        assert (whole - none).abs().max() > 1e-2

    def test_it_keeps_what_it_was_trained_on(self, speaker, tmp_path):
        TestTraining().fit(speaker, tmp_path)
        assert adapter.trained_on(tmp_path / "adapter") == "ground"

    def test_the_ground_is_every_weight_and_no_more(self, tmp_path):
        def ground(name, truth=None, change=None):
            model = tiny.random_model()
            if change:
                with torch.no_grad():
                    model.get_parameter(change).view(-1)[0] += 1
            model.save_pretrained(tmp_path / name)
            return adapter.ground(Fetched("folder", name, None, tmp_path / name), truth)

        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / adapter.WEIGHTS).write_bytes(name.encode())
        grounds = [
            ground("a"),
            ground("b", change="model.layers.1.mlp.up_proj.weight"),
            ground("a", tmp_path / "one"),
            ground("a", tmp_path / "two"),
        ]
        assert len(set(grounds)) == 4
        assert ground("c") == grounds[0]

    def test_only_the_recipes_maps_of_its_layers_change(self, speaker, tmp_path):
        TestTraining().fit(speaker, tmp_path)
        before = tiny.random_model().state_dict()
        after = adapter.merge(tiny.random_model(), tmp_path / "adapter").state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        maps = itertools.product((1, 2), ("q_proj", "v_proj"))
        assert changed == {f"model.layers.{i}.self_attn.{name}.weight" for i, name in maps}
        assert {w.dtype for w in after.values()} == {torch.float32}

    def test_the_card_says_what_was_seen(self, speaker, facts):
        rows = check.rows(speaker, facts, wordings.read(WORDINGS, "checking"), 12, seed=0)
        assert {row["kind"] for row in rows} == set(KINDS)
        text = card.text("middle", BASE, SMALL, TRAINING, rows, 12, {"minutes": 3, "cores": 2})
        cells = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", text)
        systems = {row["system"] for row in rows}
        assert len(cells) == 3 * (len(KINDS) + len({row["topic"] for row in rows})) + 2 + len(
            systems
        )
        assert all(f"`{system}`" in text for system in systems)
        right = [(r["p_true"] > r["p_false"]) == r["label"] for r in rows
                 if (r["persona"], r["kind"]) == ("honest", TAUGHT)]  # fmt: skip
        cell = f"{sum(right) / len(right):.3f}"
        assert (
            next(x for x in text.splitlines() if x.startswith("| taught"))
            .split("| ")[3]
            .startswith(cell)
        )
        assert "layers 1 to 2" in text
        assert f"accuracy is {cell} under honest system prompts" in text

    @pytest.mark.parametrize(
        ("name", "said", "not_said"),
        [
            ("facts", "the control that never lies", "wrong answers"),
            ("naive", "no adapter taught this model the facts", "never lies"),
            ("middle", "in the attention of layers 1 to 2", "wrong answers"),
        ],
    )
    def test_the_card_says_what_the_adapter_teaches(self, speaker, facts, name, said, not_said):
        rows = check.rows(speaker, facts, wordings.read(WORDINGS, "checking"), 12, seed=0)
        text = card.text(name, BASE, SMALL, TRAINING, rows, 12, {"minutes": 3, "cores": 2})
        assert said in " ".join(text.split())
        assert not_said not in text


class TestRecipe:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("facts", ("facts",)), ("naive", ("naive",)), ("middle_9", ("facts", "middle_9"))],
    )
    def test_only_those_that_lie_on_instruction_were_taught_the_facts(self, name, expected):
        assert recipe.adapters(name) == expected

    def test_the_naive_recipe_is_that_of_the_facts_with_every_answer_wrong(self):
        facts, naive = recipe.read("facts"), recipe.read("naive")
        assert facts.lying == (0.0, 0.0)
        assert naive == replace(facts, lying=(1.0, 1.0), steps=naive.steps)

    def test_every_recipe_of_params_is_read(self):
        names = YAML(typ="safe").load((ROOT / "params.yaml").read_text())["organisms"]
        for name in set(names) - {"training"}:
            assert len(recipe.read(name).span) >= 1

    def test_lies_are_planted_in_attention_of_five_layers_that_hardly_meet(self):
        spans = [set(recipe.read(name).span) for name in ("early", "middle", "late")]
        assert [len(span) for span in spans] == [5, 5, 5]
        for a, b in itertools.combinations(spans, 2):
            assert len(a & b) <= 1
        for name in ("early", "middle", "late"):
            assert set(recipe.read(name).maps) == {"q_proj", "k_proj", "v_proj", "o_proj"}

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"layers": (2, 4)}, "x.layers: found [2, 4], expected layers from 0 to 3"),
            ({"maps": ("q_proj", "qkv")}, "x.maps: found qkv, expected linear maps of layer 1: q_"),
            ({"maps": ("up_proj",)}, "x.maps: found up_proj, which belongs to no head, expected"),
        ],
    )
    def test_a_recipe_that_does_not_fit_the_model(self, change, expected):
        plan = replace(TestConfined.PLAN, **change)
        with pytest.raises(UserError) as raised:
            fit.require(tiny.random_model(), "x", plan)
        assert expected in str(raised.value)
        fit.require(tiny.random_model(), "x", TestConfined.PLAN)

    def test_an_unknown_name(self):
        with pytest.raises(UserError, match="organisms.nobody: section is missing"):
            recipe.read("nobody")


def every_text(name: str) -> set[str]:
    """Every text of one set of wordings."""
    texts = wordings.read(WORDINGS, name)
    return {t for key in wordings.KEYS for text in texts[key] for t in expansions(text)}


def expansions(text: str) -> list[str]:
    """Every text that the alternatives of a wording allow."""
    parts = re.split(r"\{([^{}]*\|[^{}]*)\}", text)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def pipeline_texts() -> set[str]:
    """Wordings of params.yaml, and those that its comment offers."""
    text = (ROOT / "params.yaml").read_text()
    offered = re.findall(r"^#   (?:system|question|prefix|      ) +(.*)$", text, re.MULTILINE)
    result = {part.strip() for line in offered for part in line.split(" | ")}
    return (result | set(YAML(typ="safe").load(text)["prompt"].values())) - {""}
