"""The look that all HTML pages share: one frame, one style sheet, plots as inline SVG."""
