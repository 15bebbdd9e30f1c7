"""What a report shows first: what stands out, figures of rubrics and of pairs, plots."""
