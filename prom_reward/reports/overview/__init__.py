"""The top of a report: findings, figures of rubrics and of pairs, plots."""
