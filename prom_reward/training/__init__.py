"""Labelled rows become a judge: a LoRA adapter trained on the very prompts that it will be asked."""
