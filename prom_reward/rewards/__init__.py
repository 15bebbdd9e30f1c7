"""From judgments to the rewards that trainers take."""
