"""Look at code around a cursor. Pure: no module here knows models, prompts or editors."""
