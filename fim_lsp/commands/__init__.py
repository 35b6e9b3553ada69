"""The verbs of the command line, one module each. Heavy imports are made when a verb runs."""
