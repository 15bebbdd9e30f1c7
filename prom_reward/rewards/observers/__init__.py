"""What looks at a reward's judged batches and changes no reward: canaries, an audit judge, divergence, your own."""
