"""Trains a judge: joins data, prompts, model and trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.engines.model.adapters import adapter_folder
from prom_reward.engines.model.devices import resolve_device
from prom_reward.engines.model.identity import folder_digest
from prom_reward.engines.model.loading import LoadedModel, load_model
from prom_reward.engines.model.source import ModelSource, resolve_path
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.prompts.prometheus import Layout, PromptStyle, task_texts
from prom_reward.training.adapter import train_adapter
from prom_reward.training.arguments import AdapterRun, check_arguments
from prom_reward.training.card import write_card
from prom_reward.training.data import ExampleSets, build_examples, read_source
from prom_reward.training.examples import ExampleEncoder
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
    run: AdapterRun
    """The settings of the adapter's training."""
    max_tokens: int = 1500
    """Longer examples are left out."""
    validation_share: float = 0.12
    """The share of questions held out to choose the checkpoint."""
    max_validation: int = 36
    """At most so many validation examples a source."""

    def load(self) -> LoadedModel:
        """Load the base model and its tokenizer.

        Raises:
            ConfigError: The adapter to continue from, or an argument of the trainer or of LoRA, is invalid.
            ModelLoadError, MissingPackageError: See `prom_reward.engines.model.loading.load_model`.
        """
        device = resolve_device(self.model.device)
        check_arguments(self.run, device, has_validation=self.validation_share > 0)
        if self.model.adapter:
            adapter_folder(self.model)
        return load_model(replace(self.model, adapter=None))

    def read(self) -> list[list[LabeledRequest]]:
        """Read the labeled rows of each source, without the model; see `prom_reward.training.data.read_source`."""
        return [read_source(source, seed=self.run.seed) for source in self.sources]

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
            labeled=labeled,
        )

    def train(self, loaded: LoadedModel, sets: ExampleSets, *, callbacks: Sequence[Any] = ()) -> dict[str, float]:
        """Train, or resume from the last checkpoint, and write the adapter with its stamp.

        Args:
            loaded: The base model.
            sets: The examples.
            callbacks: transformers' `TrainerCallback`s; without one nothing is printed.

        Returns:
            See `prom_reward.training.adapter.train_adapter`.
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
        run = replace(self.run, start=self.model) if self.model.adapter else self.run
        measures = train_adapter(loaded, sets.training, sets.validation, run, stamp, callbacks=callbacks)
        write_card(run.out, stamp, measures, num_held_out=len(sets.validation))
        return measures

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
