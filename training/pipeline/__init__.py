"""Run every stage in a row: from a developer's own code to a model that the editor uses."""
