"""The fast path must compute what peft and transformers compute the plain way."""

from __future__ import annotations

import pytest
import torch

from tests.training.tiny import SENTINELS, rows, tiny_model
from training.train.attention import register
from training.train.batches import pack
from training.train.lora import METHODS, AdapterPlan, Method, attach, trainable
from training.train.losses import LabelledLoss

IDS = tuple(SENTINELS.values())


def plain_loss(model, row):
    """Return the loss of one row alone, with all logits and peft's own layers."""
    tokens = torch.tensor([row.tokens])
    logits = model(input_ids=tokens, row_lengths=(len(row.tokens),)).logits[0, :-1]
    nll = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
    return (nll * torch.tensor(row.weights[1:])).sum()


def attached(method: Method, architecture="llama", sentinels=IDS, *, checkpointing=False):
    model = tiny_model(architecture)
    model.config._attn_implementation = register()
    model.requires_grad_(False)
    model = attach(
        model, AdapterPlan(method, 4, 8, sentinels=sentinels, gradient_checkpointing=checkpointing)
    )
    torch.manual_seed(1)
    for parameter in trainable(model).values():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def fast_loss(model, chosen, sentinels=IDS):
    packed = pack([_stored(row) for row in chosen])
    arrays = (packed.ids, packed.positions)
    return LabelledLoss(model, sentinels)(
        *map(torch.from_numpy, arrays),
        packed.row_lengths,
        *map(torch.from_numpy, (packed.places, packed.targets, packed.weights)),
    )


def scores(model, chosen, end=0):
    packed = pack([_stored(row) for row in chosen])
    arrays = (packed.ids, packed.positions)
    with torch.no_grad():
        return LabelledLoss(model, IDS).score(
            *map(torch.from_numpy, arrays),
            packed.row_lengths,
            *map(torch.from_numpy, (packed.places, packed.targets)),
            end,
        )


def _stored(row):
    import attrs
    import numpy as np

    return attrs.evolve(row, tokens=np.array(row.tokens), weights=np.array(row.weights, np.float32))


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("method", METHODS)
def test_loss_and_gradients_are_those_of_the_plain_way(method: Method, architecture) -> None:
    sentinels = () if method == "ia3" else IDS
    model = attached(method, architecture, sentinels)
    chosen = rows(5, seed=3, longest=300)

    plain = sum(plain_loss(model, row) for row in chosen)
    plain.backward()
    expected = {name: value.grad.clone() for name, value in trainable(model).items()}
    model.zero_grad()
    total = fast_loss(model, chosen, sentinels)
    total.backward()

    assert total.item() == pytest.approx(plain.item(), rel=1e-5)
    assert expected
    for name, value in trainable(model).items():
        torch.testing.assert_close(value.grad, expected[name], rtol=1e-3, atol=1e-4, msg=name)


def test_each_label_has_its_own_loss() -> None:
    model = attached("rslora")
    row = rows(1, seed=3)[0]
    each, *_ = scores(model, [row])
    assert len(each) == len(row.tokens) - row.middle_start
    assert (each > 0).all()
    weights = torch.tensor(row.weights[row.middle_start :])
    assert (each * weights).sum().item() == pytest.approx(plain_loss(model, row).item(), rel=1e-5)


def test_the_lead_of_the_end_is_that_over_the_likeliest_other_token() -> None:
    model = attached("rslora")
    row = rows(1, seed=3)[0]
    tokens = torch.tensor([row.tokens])
    with torch.no_grad():
        logits = model(input_ids=tokens, row_lengths=(len(row.tokens),)).logits[0, row.middle_start - 1 : -1]
    likeliest, others = logits.sort(descending=True)
    # This end token is the likeliest token at the first place: it leads there, and trails elsewhere.
    end = int(others[0, 0])
    _, leads, rivals = scores(model, [row], end)
    best_other = torch.where(others[:, 0] == end, likeliest[:, 1], likeliest[:, 0])
    torch.testing.assert_close(leads, logits[:, end] - best_other, rtol=1e-4, atol=1e-4)
    assert leads[0] > 0
    assert rivals.tolist() == torch.where(others[:, 0] == end, others[:, 1], others[:, 0]).tolist()


def test_a_row_sees_nothing_of_its_neighbours() -> None:
    model = attached("rslora")
    row, *others = rows(4, seed=3, longest=200)
    alone, *_ = scores(model, [row])
    together, *_ = scores(model, [others[0], row, *others[1:]])
    skipped = sum(weight > 0 for weight in others[0].weights)
    torch.testing.assert_close(together[skipped : skipped + len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = attached("rslora", checkpointing=checkpointing).train()
        fast_loss(model, rows(3, seed=3)).backward()
        gradients.append({name: value.grad for name, value in trainable(model).items()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)
