"""Evaluation as change control: sets of questions, runs of them, and changes that take effect when a run is approved."""
