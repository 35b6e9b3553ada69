"""What staleness costs: the same holes filled behind a prompt made for them, and behind one that was kept.

    python -m benchmarks.staleness --model default --holes 300 --prefix-share 0.5
    python -m benchmarks.staleness --model psm.gguf --holes 300 --reach 400

A prompt that is kept costs a token a keystroke, one that is made anew costs all of it; so how long may it be
kept? Which question that is depends on the order of the model's template:

- **suffix first**: the cursor goes down into the evaluated suffix, which stays as it was
  (``prompt.maxStaleChars``);
- **PSM**: the middle begins at an anchor and grows, instead of moving the suffix (``prompt.layout`` anchored,
  ``prompt.maxMiddleChars``).

Each hole is answered three times through the server's own pipeline: exact, and kept over a short and over a
long distance, drawn by seed. Answers are kept one by one; a run that was ended goes on. To ask the second
question, make a PSM model with ``python -m training``: ``prepare --stage a --template qwen``, ``train`` and
``export``.
"""
