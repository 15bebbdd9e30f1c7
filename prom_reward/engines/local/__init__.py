"""The engines that run a model in this process with transformers."""
