"""Choose the FIM template of a model, from the GGUF itself where that is possible.

The user's setting overrides everything. Otherwise the sources are, in this order, the FIM token ids that the
GGUF names, the marker texts in its vocabulary, and the catalog's hint. A template whose markers the
vocabulary lacks is never used: a model without FIM tokens completes from the prefix alone, which is worse
than FIM but better than a wrong prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, get_args

from attrs import evolve, frozen

from fim_lsp.errors import ErrorCode, FimLspError
from fim_lsp.gguf_keys import FIM_ORDER
from fim_lsp.prompt.families import FAMILIES, Family
from fim_lsp.prompt.markers import marker_id, missing_markers, strip_marker
from fim_lsp.types import FimTemplate, ModelInfo, Order, Tokenizer

NO_TEMPLATE = "none"
"""Value of the setting ``model.template`` for completion from the prefix alone."""

TemplateSource = Literal["settings", "gguf keys", "vocabulary", "catalog", "none"]


class TemplateError(FimLspError):
    """A template that does not exist, or that the model's vocabulary can't express."""

    code: ClassVar[ErrorCode] = "template_failed"


@frozen
class ChosenTemplate:
    """The template of a model, its source, and the reason in words for the user."""

    template: FimTemplate | None
    """None for a model that can only continue the prefix."""
    source: TemplateSource
    reason: str


def template_names() -> tuple[str, ...]:
    """Return the values that the setting ``model.template`` may have."""
    return tuple(family.template.name for family in FAMILIES)


def find_template(name: str) -> FimTemplate:
    """Return the template of a family, by name.

    Raises:
        TemplateError: there is no such family; the remedy lists the families.
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
        info: the model's metadata, and the catalog's hint.
        tokenizer: the model's vocabulary; only templates that it can express are chosen.
        override: the setting ``model.template``; None chooses.

    Raises:
        TemplateError: the setting names an unknown template, or one that the vocabulary can't express.
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
        return ChosenTemplate(None, "settings", "The setting model.template asks for the prefix alone.")
    template = find_template(name)
    if missing := missing_markers(template, tokenizer):
        raise TemplateError(
            f"This model's vocabulary lacks {', '.join(missing)}, which the template {name!r} needs.",
            "Set model.template to null to choose from the model file.",
        )
    return ChosenTemplate(template, "settings", f"The setting model.template is {name!r}.")


def _from_keys(info: ModelInfo, tokenizer: Tokenizer, skipped: list[str]) -> ChosenTemplate | None:
    """Choose by ``tokenizer.ggml.fim_*_token_id``: a family with these markers, or else a custom template."""
    texts = {key: _marker_text(token, tokenizer) for key, token in info.fim_ids.items()}
    unusable = [key for key in ("pre", "suf", "mid") if not texts.get(key)]
    if unusable:
        if len(unusable) < 3:
            skipped.append(f"The GGUF's FIM keys were skipped: no usable token for {', '.join(unusable)}.")
        return None
    if len({info.fim_ids[key] for key in ("pre", "suf", "mid")}) < 3:
        skipped.append("The GGUF's FIM keys were skipped: they name one token twice.")
        return None
    order = _named_order(info, skipped)
    # An order is evidence enough, because only models of this project have that key.
    alike = (f for f in FAMILIES if _fits(f, texts, order) and (order or _is_recognised(f, info)))
    best = _best(alike, info, tokenizer)
    template = best.template if best else _custom(texts, order or "psm")
    # The file's own file and repository markers go before those of the family.
    template = evolve(
        template,
        file_separator=_prefer_file(template.file_separator, texts.get("sep")),
        repo_name=_prefer_file(template.repo_name, texts.get("rep")),
    )
    return ChosenTemplate(
        template, "gguf keys", f"The GGUF names its FIM tokens; they are those of {template.name!r}."
    )


def _marker_text(token: int, tokenizer: Tokenizer) -> str:
    """Return a token's text if the text gives the same token again; otherwise an empty text."""
    text = tokenizer.decode((token,))
    if tokenizer.special(text) == token:
        return text
    return strip_marker(text) if strip_marker(text) and marker_id(text, tokenizer) == token else ""


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
    own = [strip_marker(marker) for marker in (template.prefix, template.suffix, template.middle)]
    return own == [strip_marker(texts[key]) for key in ("pre", "suf", "mid")] and order in (
        None,
        template.order,
    )


def _custom(texts: dict[str, str], order: Order) -> FimTemplate:
    return FimTemplate(
        name="custom",
        prefix=texts["pre"],
        suffix=texts["suf"],
        middle=texts["mid"],
        stops=(texts["pad"],) if texts.get("pad") else (),
        order=order,
    )


def _prefer_file(known: str, in_file: str | None) -> str:
    """Return the file's marker, or the family's if both differ in their spaces alone."""
    return in_file if in_file and strip_marker(in_file) != strip_marker(known) else known


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
    """Return the likeliest of families with the same markers: by name, architecture, end, other markers."""

    def likelihood(family: Family) -> tuple[bool, bool, bool, int]:
        stops = family.template.stops
        others = (*stops, family.template.file_separator, family.template.repo_name)
        missing = sum(bool(marker) and marker_id(marker, tokenizer) is None for marker in others)
        is_architecture = info.architecture.startswith(family.architectures)
        # The first stop ends a middle. A model without that token was not trained on this family's format.
        has_end = not stops or marker_id(stops[0], tokenizer) is not None
        return _is_named(family, info), is_architecture, has_end, -missing

    return max(families, key=likelihood, default=None)


def _is_recognised(family: Family, info: ModelInfo) -> bool:
    return family.evidence == "markers" or (family.evidence == "name" and _is_named(family, info))


def _is_named(family: Family, info: ModelInfo) -> bool:
    """Check if the model's metadata, name, file or hint contain a name of the family."""
    names = [info.metadata.get(f"general.{key}", "") for key in ("name", "basename", "finetune")]
    names += [info.name, info.path.stem if info.path else "", info.template_hint or ""]
    return any(part in name.lower() for part in family.names for name in names)
