"""Measure the cost of kept prompts: fill the same holes behind a new prompt, and behind one made earlier.

    python -m benchmarks.staleness --model default --holes 300 --prefix-share 0.5
    python -m benchmarks.staleness --model psm.gguf --holes 300 --reach 400

A kept prompt costs one token for each keystroke, a new one is evaluated as a whole; the benchmark shows for
how many characters a prompt can be kept without worse answers. The order of the model's template decides
which setting is measured:

- **suffix first**: the cursor moves down into the evaluated suffix, which stays as it was
  (``prompt.maxStaleChars``);
- **PSM**: the middle begins at an anchor and grows, and the suffix does not move (``prompt.layout`` anchored,
  ``prompt.maxMiddleChars``).

The server's own pipeline answers each hole three times: behind a new prompt, and behind prompts kept over a
short and over a long distance, drawn by the seed. Answers are stored one by one, so that a second run does
only what is missing. For the second setting, make a PSM model with ``python -m training``: ``prepare --stage
a --template qwen``, ``train`` and ``export``.
"""
