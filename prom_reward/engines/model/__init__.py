"""One loaded model: weights, tokenizer, memory, and the state around a call."""
