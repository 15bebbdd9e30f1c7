"""Trains a judge: joins data, prompts, model and trainer."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.engines.model.adapters import adapter_folder
from prom_reward.engines.model.devices import resolve_device
from prom_reward.engines.model.identity import folder_digest
from prom_reward.engines.model.loading import LoadedModel, load_model, load_outline, load_tokenizer
from prom_reward.engines.model.source import ModelSource, resolve_path
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.prompts.checklist import CHECKLIST_TEXTS
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.prompts.prometheus import Layout, PromptStyle, task_texts
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.training.adapter import train_adapter
from prom_reward.training.arguments import AdapterRun, check_arguments
from prom_reward.training.card import write_card
from prom_reward.training.data import ExampleSets, build_examples, read_source
from prom_reward.training.examples import ExampleEncoder
from prom_reward.training.plan import StepPlan, plan_steps
from prom_reward.training.prepared import read_examples, tokenizer_digest, write_examples
from prom_reward.training.sources import DataSource

_LIBRARIES = ("torch", "transformers", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTraining:
    """A judge's training: model, prompts, data and settings."""

    model: ModelSource
    """The base weights; if they have an adapter, training continues from it."""
    conversation: str
    """A name of `prom_reward.prompts.conversation.CONVERSATIONS`."""
    prompt_style: PromptStyle
    """The task texts."""
    layouts: Mapping[Layout, float]
    """Each layout's share of the training examples; validation uses the first."""
    guard: bool
    """Neutralize judge text in responses, as the judge will."""
    sources: Sequence[DataSource]
    """The labeled files."""
    data_dir: Path = Path()
    """The folder in which files with relative paths are looked for first; then the working directory."""
    run: AdapterRun
    """The settings of the adapter's training."""
    max_tokens: int = 1500
    """Longer examples are left out."""
    validation_share: float = 0.12
    """The share of questions held out to choose the checkpoint."""
    max_validation: int = 36
    """At most so many validation examples a source."""

    def load(self, *, weights: bool = True) -> LoadedModel:
        """Load the base model and its tokenizer.

        Args:
            weights: False loads the model without them, which is enough for `examples` and `prepare`.

        Raises:
            ConfigError: The adapter to continue from, or an argument of the trainer or of LoRA, is invalid.
            ModelLoadError, MissingPackageError: See `prom_reward.engines.model.loading.load_model`.
        """
        device = resolve_device(self.model.device)
        check_arguments(self.run, device, has_validation=self.validation_share > 0)
        if self.model.adapter:
            adapter_folder(self.model)
        source = replace(self.model, adapter=None)
        return load_model(source) if weights else load_outline(source)

    def read(self) -> list[list[LabeledRequest]]:
        """Read the labeled rows of each source, without the model; see `prom_reward.training.data.read_source`."""
        found = [replace(source, path=self._found(source.path)) for source in self.sources]
        return [read_source(source, seed=self.run.seed) for source in found]

    def examples(self, loaded: LoadedModel, labeled: Sequence[Sequence[LabeledRequest]] | None = None) -> ExampleSets:
        """Encode the rows of `read`, or read them now; see `prom_reward.training.data.build_examples`."""
        tokens = JudgeTokens(loaded.tokenizer, CONVERSATIONS[self.conversation](loaded.tokenizer))
        encoders = {
            ExampleEncoder(
                texts=task_texts(self.prompt_style, layout),
                context_ids=tokens.context_ids,
                label_tokens=tokens.encoder.label_tokens,
                guard=self.guard,
            ): share
            for layout, share in self.layouts.items()
        }
        return build_examples(
            self.sources,
            encoders,
            max_tokens=self.max_tokens,
            validation_share=self.validation_share,
            max_validation=self.max_validation,
            seed=self.run.seed,
            labeled=self.read() if labeled is None else labeled,
        )

    def plan(self, loaded: LoadedModel, sets: ExampleSets) -> StepPlan:
        """Pack the training examples and choose the steps; see `prom_reward.training.plan.plan_steps`."""
        from prom_reward.training.tree_attention import is_available

        return plan_steps(sets.training, self.run, shares=is_available(loaded.model))

    def prepare(self, loaded: LoadedModel, sets: ExampleSets, path: Path) -> int:
        """Write the examples into one file, from which `prepared` reads them on any machine; return its bytes.

        Raises:
            WorkError: The disk is full or cannot be written.
        """
        write_examples(path, sets, self._examples_stamp(loaded.tokenizer))
        return path.stat().st_size

    def prepared(self, path: Path) -> ExampleSets:
        """Return the examples of a file that `prepare` wrote, without the data and the weights.

        Raises:
            InputError: The file cannot be read, is damaged, or another recipe's.
            ModelLoadError, MissingPackageError: The tokenizer cannot be loaded.
        """
        return read_examples(path, self._examples_stamp(load_tokenizer(self.model)))

    def train(
        self, loaded: LoadedModel, sets: ExampleSets, plan: StepPlan | None = None, *, callbacks: Sequence[Any] = ()
    ) -> dict[str, float]:
        """Train, or resume from the last checkpoint, and write the adapter with its stamp.

        Args:
            loaded: The base model.
            sets: The examples.
            plan: That of `plan`; None makes it now.
            callbacks: transformers' `TrainerCallback`s; without one nothing is printed.

        Returns:
            The measures of `prom_reward.training.adapter.train_adapter`, with `steps` and `epochs`.
        """
        stamp: dict[str, Any] = {
            "base": self.model.model,
            "judge": self._judge_settings(),
            "start": folder_digest(resolve_path(self.model.adapter)) if self.model.adapter else None,
            "prompt_style": self.prompt_style,
            "layouts": dict(self.layouts),
            "conversation": self.conversation,
            "guard": GUARD_VERSION if self.guard else None,
            "data": [{"file": source.path.name, "passes": source.passes} for source in self.sources],
            "num_examples": len(sets.training),
            "seed": self.run.seed,
            "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        }
        plan = plan or self.plan(loaded, sets)
        if self.model.adapter:
            plan = replace(plan, run=replace(plan.run, start=self.model))
        measures, done = train_adapter(loaded, plan, sets.training, sets.validation, stamp, callbacks=callbacks)
        told = {**stamp, "training": done}
        write_card(plan.run.out, told, measures, num_held_out=len(sets.validation), num_rows=sets.num_rows)
        return {**measures, "steps": done["steps"], "epochs": done["epochs"]}

    def _examples_stamp(self, tokenizer: Any) -> dict[str, Any]:
        """Return what the examples depend on, without paths of this machine."""
        texts = [*(task_texts(self.prompt_style, layout) for layout in self.layouts), CHECKLIST_TEXTS]
        return {
            **_data_stamp(self.sources),
            "prompt_style": self.prompt_style,
            "layouts": list(self.layouts.items()),
            "texts": hashlib.sha256(repr(texts).encode()).hexdigest()[:16],
            "conversation": self.conversation,
            "guard": GUARD_VERSION if self.guard else None,
            "tokenizer": tokenizer_digest(tokenizer),
            "max_tokens": self.max_tokens,
            "validation_share": self.validation_share,
            "max_validation": self.max_validation,
            "seed": self.run.seed,
        }

    def _found(self, path: Path) -> Path:
        inside = self.data_dir / path
        return inside if inside.exists() or not path.exists() else path

    def _judge_settings(self) -> dict[str, Any]:
        """Return the settings that `load_judge` needs besides the adapter; a local base model by its absolute path."""
        model = self.model.model
        return {
            "model": str(Path(model).resolve()) if Path(model).is_dir() else model,
            "tokenizer": self.model.tokenizer,
            "gguf_file": self.model.gguf_file,
            "revision": self.model.revision,
            "prompt_style": self.prompt_style,
            "layout": next(iter(self.layouts)),
            "conversation": self.conversation,
            "mode": "score",
            "taught_to_rank": False,
        }


def _data_stamp(sources: Sequence[DataSource]) -> dict[str, Any]:
    """Return the options of each data file; of an absolute path the name, as it lies elsewhere on another machine."""
    stamp: dict[str, Any] = {"num_files": len(sources)}
    for number, source in enumerate(sources, 1):
        options = {one.name: getattr(source, one.name) for one in fields(source)} | {
            "path": source.path.name if source.path.is_absolute() else source.path.as_posix(),
            "rubric": [rubric_digest(rubric) for rubric in source.rubrics],
        }
        stamp |= {f"file {number} {name}": value for name, value in options.items()}
    return stamp
