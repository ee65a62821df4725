"""The first thing on the page: one sentence each, in words, with numbers."""

from weatherglass.report.comparisons import Rival, told_apart
from weatherglass.report.content import Content, DataGroup, ModelView
from weatherglass.report.words import condition_in_words, count, kind_in_words, percent, spoken


def title_of(content: Content) -> str:
    """Headline of the page."""
    data = content.groups[0].name if len(content.groups) == 1 else f"{len(content.groups)} data sets"
    if len(content.models) == 1:
        return f"How {content.models[0].label} holds up on {data}"
    return f"How {len(content.models)} models hold up on {data}"


def verdicts_of(group: DataGroup, rivals: list[Rival]) -> list[str]:
    """What a hurried reader needs to know of one data set."""
    best = group.models[0]
    leading = bool(rivals) and rivals[0].aggregate.verdict == "worse"
    sentences = [_holds_up(best, leading), _worst(best), _steadiness(best)]
    if len(group.models) > 1:
        sentences.insert(1, told_apart(best, rivals, f"{best.summary.level:.0%}"))
        sentences.append(_shared_weakness(group))
    else:
        sentences.append(_first_failure(best))
    return [sentence for sentence in sentences if sentence]


def _holds_up(view: ModelView, leading: bool) -> str:
    summary = view.summary
    if summary.corrupted is None:
        if summary.clean is None:
            return f"{view.label} was measured under no corruption and not on clean images either."
        without = "No corruption was measured" if summary.sequences else "Nothing was disturbed"
        return (
            f"{view.label} {_reaches(view, spoken(summary.clean))}. {without}, so this page cannot say how it holds up."
        )
    under = f"{spoken(summary.corrupted)} under {summary.grid.description.replace(' x ', ' × ')}"
    lead = f"{view.label} {'holds best. It ' if leading else ''}"
    if summary.clean is None or summary.retention is None:
        return f"{lead}{_reaches(view, '', under)}; without a clean measurement nobody knows what it lost."
    return (
        f"{lead}{_reaches(view, percent(summary.clean.value), f' and {under}')}: it keeps "
        f"{percent(summary.retention.value)} of what it can do."
    )


def _reaches(view: ModelView, clean: str, under: str = "") -> str:
    """What a model does on clean images (left out where ''), and under disturbance, as a verb phrase."""
    if view.summary.task == "classification":
        return f"gets {clean} of the clean images right{under}" if clean else f"gets {under} right"
    return f"reaches {clean} {view.summary.measure} on clean images{under}" if clean else f"reaches {under}"


def _worst(view: ModelView) -> str:
    summary = view.summary
    if not summary.worst:
        return ""
    worst = summary.conditions[summary.worst[0]]
    text = condition_in_words(worst.disturbance, worst.kind, worst.severity)
    sentence = f"The worst condition for {view.label} is {text}, with {spoken(worst.score)} {_right(view)}."
    whole = {name: kind for name, kind in summary.kinds.items() if not kind.missing}
    if len(whole) > 1:
        hardest = min(whole, key=lambda name: whole[name].score.value)
        easiest = max(whole, key=lambda name: whole[name].score.value)
        sentence += (
            f" Over all severities {kind_in_words(hardest)} hurts it most ({percent(whole[hardest].score.value)}) and "
            f"{kind_in_words(easiest)} least ({percent(whole[easiest].score.value)})."
        )
    return sentence


def _steadiness(view: ModelView) -> str:
    found = view.summary.sequences
    if found is None:
        return ""
    shakiest = max(found.results, key=lambda result: result.flips.value)
    return (
        f"While images change little by little, the prediction of {view.label} changes at {spoken(found.flips)} of the "
        f"steps, most under {kind_in_words(shakiest.perturbation)} ({percent(shakiest.flips.value)})."
    )


def _right(view: ModelView) -> str:
    return "right" if view.summary.task == "classification" else view.summary.measure


def _shared_weakness(group: DataGroup) -> str:
    """The corruption that is the hardest for most of the models."""
    hardest: dict[str, int] = {}
    for view in group.models:
        whole = {name: kind.score.value for name, kind in view.summary.kinds.items() if not kind.missing}
        if len(whole) > 1:
            kind = min(whole, key=lambda name: whole[name])
            hardest[kind] = hardest.get(kind, 0) + 1
    if not hardest:
        return ""
    kind, models = max(hardest.items(), key=lambda item: item[1])
    if models == len(group.models):
        return f"{'Both' if models == 2 else f'All {models}'} models suffer most from {kind_in_words(kind)}."
    if models < 2:
        return "Every model has another weak spot; see where each breaks below."
    return f"{models} of {count(len(group.models), 'model')} suffer most from {kind_in_words(kind)}."


def _first_failure(view: ModelView) -> str:
    shares = view.summary.first_failure
    if shares is None:
        return ""
    at_once, survive = sum(shares[:2]), shares[-1]
    return (
        f"Averaged over the corruptions, {percent(survive)} of the images survive every severity, and "
        f"{percent(at_once)} already fail at the mildest or before."
    )
