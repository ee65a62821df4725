"""What stands at the top of the page: how much was measured, and what a reader must know before the numbers."""

from weatherglass.metrics.intervals import Estimate
from weatherglass.report import words
from weatherglass.report.content import Content
from weatherglass.report.protocols import differing_fields


def facts_of(content: Content) -> str:
    """How many images, classes and conditions, in one line."""
    if len(content.groups) > 1:
        return f"{words.count(len(content.models), 'run')} on {words.count(len(content.groups), 'data set')}"
    group = next(iter(content.groups))
    conditions = {text for view in group.models for text in view.summary.conditions if text != "clean"}
    sequences = {text for view in group.models for text in view.run.sequences}
    facts = [group.samples, words.count(len(conditions), "disturbed condition")]
    if sequences:
        facts.append(words.count(len(sequences), "sequence"))
    if group.classes:
        facts.insert(1, words.count(group.classes, "class", "classes"))
    if group.selection != "all":
        facts.insert(1, group.selection)
    return " · ".join(facts)


def notices_of(content: Content) -> list[str]:
    """Sentences on runs that were not measured alike, that are not complete, or that say little."""
    notices = []
    if len(content.groups) > 1:
        notices.append("The runs were measured on different data. They stand beside each other; they are not compared.")
    for group in content.groups:
        fields = differing_fields(group.models)
        if fields:
            notices.append(
                f"The runs on {group.name} were not measured alike: {words.listed(fields, 4)} differ. "
                "Part of any difference between the models may come from that; the protocol table marks the fields."
            )
    partial = [view.label for view in content.models if view.summary.partial]
    if partial:
        notices.append(
            f"Not every condition of {words.listed(partial, 3)} was measured, so the means are provisional. "
            "See what is missing."
        )
    shaky = [v for v in content.models if v.summary.mce and _is_shaky(v.summary.mce)]
    if shaky:
        worst = max(shaky, key=lambda v: v.summary.mce.high if v.summary.mce else 0)
        notices.append(
            f"mCE says little here: it divides by the errors of {worst.summary.reference}, which are few under some "
            f"corruptions, so single images weigh much (see the interval of {worst.label}). Trust the mean accuracy."
        )
    few = [view for view in content.models if view.summary.samples < 100]
    if few:
        notices.append(f"Some runs saw fewer than 100 images ({few[0].summary.samples}); the intervals are rough.")
    return notices


def _is_shaky(estimate: Estimate) -> bool:
    """Whether the interval is wider than half of the value."""
    return estimate.high - estimate.low > 0.5 * estimate.value
