"""Which FIM template a model wants, found from the GGUF itself wherever that is possible.

The user's setting overrides all. Otherwise: the FIM token ids that the GGUF names, the marker texts in its
vocabulary, the catalog's hint. A template whose markers the vocabulary lacks is never used: a model without
FIM tokens completes from the prefix alone, which is worse than FIM but better than a wrong prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, get_args

from attrs import evolve, frozen

from fim_lsp.errors import ErrorCode, FimLspError
from fim_lsp.gguf_keys import FIM_ORDER
from fim_lsp.prompt.families import FAMILIES, Family
from fim_lsp.prompt.markers import core, marker_id, missing_markers
from fim_lsp.types import FimTemplate, ModelInfo, Order, Tokenizer

NO_TEMPLATE = "none"
"""What the setting ``model.template`` says for completion from the prefix alone."""

TemplateSource = Literal["settings", "gguf keys", "vocabulary", "catalog", "none"]


class TemplateError(FimLspError):
    """A template of that name doesn't exist, or this model's vocabulary can't express it."""

    code: ClassVar[ErrorCode] = "template_failed"


@frozen
class ChosenTemplate:
    """A template, where it was found, and why, in words for the user."""

    template: FimTemplate | None
    """None for a model that can only continue the prefix."""
    source: TemplateSource
    reason: str


def template_names() -> tuple[str, ...]:
    """The names that the setting ``model.template`` may have."""
    return tuple(family.template.name for family in FAMILIES)


def find_template(name: str) -> FimTemplate:
    """The template of a family, by name.

    Raises:
        TemplateError: there is no such family; the remedy lists those there are.
    """
    for family in FAMILIES:
        if family.template.name == name:
            return family.template
    raise TemplateError(
        f"There is no FIM template {name!r}.", f"Known are {', '.join((NO_TEMPLATE, *template_names()))}."
    )


def choose_template(info: ModelInfo, tokenizer: Tokenizer, override: str | None) -> ChosenTemplate:
    """Choose the template for a loaded model.

    Args:
        info: what the file says of itself, the catalog's hint included.
        tokenizer: the model's vocabulary; it has the last word on what can be used.
        override: the setting ``model.template``.

    Raises:
        TemplateError: the setting names an unknown template or one that the vocabulary can't express.
    """
    if override is not None:
        return _from_settings(override, tokenizer)
    skipped: list[str] = []
    for find in (_from_keys, _from_vocabulary, _from_hint):
        chosen = find(info, tokenizer, skipped)
        if chosen is not None:
            return evolve(chosen, reason=" ".join((chosen.reason, *skipped)))
    reason = "The vocabulary has no FIM markers that we know, so only the text before the cursor is used."
    return ChosenTemplate(None, "none", " ".join((reason, *skipped)))


def _from_settings(name: str, tokenizer: Tokenizer) -> ChosenTemplate:
    if name == NO_TEMPLATE:
        return ChosenTemplate(None, "settings", "The setting model.template says to use only the prefix.")
    template = find_template(name)
    if missing := missing_markers(template, tokenizer):
        raise TemplateError(
            f"This model's vocabulary lacks {', '.join(missing)}, which the template {name!r} needs.",
            "Set model.template to null to choose from the model file.",
        )
    return ChosenTemplate(template, "settings", f"The setting model.template says {name!r}.")


def _from_keys(info: ModelInfo, tokenizer: Tokenizer, skipped: list[str]) -> ChosenTemplate | None:
    """From ``tokenizer.ggml.fim_*_token_id``; a family where the texts agree, else a template of its own."""
    texts = {key: _spelled(token, tokenizer) for key, token in info.fim_ids.items()}
    unusable = [key for key in ("pre", "suf", "mid") if not texts.get(key)]
    if unusable:
        if len(unusable) < 3:
            skipped.append(f"The GGUF's FIM keys were skipped: no usable token for {', '.join(unusable)}.")
        return None
    order = _named_order(info, skipped)
    # A named order is evidence enough: no other model's file has that key.
    alike = (f for f in FAMILIES if _fits(f, texts, order) and (order or _is_recognised(f, info)))
    best = _best(alike, info, tokenizer)
    template = best.template if best else _custom(texts, order or "psm")
    # The file knows its own file and repository markers better than the family's table.
    template = evolve(
        template,
        file_separator=_either(template.file_separator, texts.get("sep")),
        repo_name=_either(template.repo_name, texts.get("rep")),
    )
    return ChosenTemplate(
        template, "gguf keys", f"The GGUF names its FIM tokens; they are those of {template.name!r}."
    )


def _spelled(token: int, tokenizer: Tokenizer) -> str:
    """A token's text, if that text leads back to the token; otherwise it could not be spliced."""
    text = tokenizer.decode((token,))
    if tokenizer.special(text) == token:
        return text
    return core(text) if core(text) and marker_id(text, tokenizer) == token else ""


def _named_order(info: ModelInfo, skipped: list[str]) -> Order | None:
    named = info.metadata.get(FIM_ORDER)
    for order in get_args(Order):
        if named == order:
            return order  # type: ignore[no-any-return]
    if named is not None:
        skipped.append(f"The GGUF's {FIM_ORDER} was ignored: {named!r} is no order we know.")
    return None


def _fits(family: Family, texts: dict[str, str], order: Order | None) -> bool:
    template = family.template
    own = [core(marker) for marker in (template.prefix, template.suffix, template.middle)]
    return own == [core(texts[key]) for key in ("pre", "suf", "mid")] and order in (None, template.order)


def _custom(texts: dict[str, str], order: Order) -> FimTemplate:
    return FimTemplate(
        name="custom",
        prefix=texts["pre"],
        suffix=texts["suf"],
        middle=texts["mid"],
        stops=(texts["pad"],) if texts.get("pad") else (),
        order=order,
    )


def _either(known: str, named: str | None) -> str:
    return named if named and core(named) != core(known) else known


def _from_vocabulary(info: ModelInfo, tokenizer: Tokenizer, skipped: list[str]) -> ChosenTemplate | None:
    possible = [family for family in FAMILIES if not missing_markers(family.template, tokenizer)]
    best = _best((family for family in possible if _is_recognised(family, info)), info, tokenizer)
    if best is not None:
        name = best.template.name
        return ChosenTemplate(best.template, "vocabulary", f"The vocabulary has the markers of {name!r}.")
    skipped.extend(
        f"The vocabulary has the markers of {family.template.name!r}, but the model's name does not say so."
        for family in possible
        if family.evidence == "name"
    )
    return None


def _from_hint(info: ModelInfo, tokenizer: Tokenizer, skipped: list[str]) -> ChosenTemplate | None:
    if info.template_hint is None:
        return None
    try:
        template = find_template(info.template_hint)
    except TemplateError as error:
        skipped.append(f"The catalog's hint was skipped: {error.problem}")
        return None
    if missing := missing_markers(template, tokenizer):
        skipped.append(
            f"The catalog's {template.name!r} was skipped: the vocabulary lacks {', '.join(missing)}."
        )
        return None
    return ChosenTemplate(template, "catalog", f"The catalog gives {template.name!r} for this model.")


def _best(families: Iterable[Family], info: ModelInfo, tokenizer: Tokenizer) -> Family | None:
    """The likeliest of families that share their markers: by name, architecture, end, then other markers."""

    def likelihood(family: Family) -> tuple[bool, bool, bool, int]:
        stops = family.template.stops
        others = (*stops, family.template.file_separator, family.template.repo_name)
        missing = sum(bool(marker) and marker_id(marker, tokenizer) is None for marker in others)
        built = info.architecture.startswith(family.architectures)
        # The first stop ends a middle: a model of a family that lacks it could not have learnt to.
        ends = not stops or marker_id(stops[0], tokenizer) is not None
        return _is_named(family, info), built, ends, -missing

    return max(families, key=likelihood, default=None)


def _is_recognised(family: Family, info: ModelInfo) -> bool:
    return family.evidence == "markers" or (family.evidence == "name" and _is_named(family, info))


def _is_named(family: Family, info: ModelInfo) -> bool:
    """Whether anything that may carry the family's name does."""
    said = [info.metadata.get(f"general.{key}", "") for key in ("name", "basename", "finetune")]
    said += [info.name, info.path.stem if info.path else "", info.template_hint or ""]
    return any(name in text.lower() for name in family.names for text in said)
