"""Trains a judge on labeled rows: a LoRA adapter, trained on the prompts that it will be asked."""
