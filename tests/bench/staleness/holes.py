from __future__ import annotations

from training.evaluate.infilling import EvaluationHole


def evaluation_hole(name: str, prefix: str, middle: str, suffix: str) -> EvaluationHole:
    path = name.replace("#0", ".py")
    return EvaluationHole(
        prefix, middle, suffix, "benchmark", name=name, set="set", path=path, language="python"
    )
