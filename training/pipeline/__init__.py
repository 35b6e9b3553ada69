"""Run all stages one after the other: from a developer's own code to a model that the editor uses."""
