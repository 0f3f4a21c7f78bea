"""Items of TRIPOD+AI (BMJ 2024;385:e078378) and CLAIM (2024 update, Radiology: AI) that a run can answer about itself.

An item is answered only where the results say so. What a run cannot know (who the patients were, how films were taken,
who read them) is marked for the hospital to fill in: a guess would be worse than a gap.
"""

from dataclasses import dataclass

from chex_jobs.evaluation.results.schema import Results

UNKNOWN = "Not known to this software; the hospital has to state it."


@dataclass(frozen=True)
class Item:
    """One item, what this run can say to it, and what is left for the hospital."""

    topic: str
    answer: str = ""
    gap: str = ""


def checklist(results: Results) -> tuple[Item, ...]:
    """The items, answered or left open."""
    objectives = ", ".join(f"{run.name}: {run.objective}" for run in results.pretraining) or "none"
    splits = ", ".join(
        f"{each.hospital}: {each.split}" + (f" ({each.num_folds})" if each.num_folds else "")
        for each in results.hospitals
    )
    openings = ", ".join(f"{each.hospital}: {each.ledger.count}" for each in results.hospitals)
    return (
        Item(
            "Study design and aim",
            "Comparison of starts, strategies and label fractions for transfer to each hospital; see the manifest.",
        ),
        Item("Source of data, dates, setting", gap=UNKNOWN),
        Item(
            "Eligibility of patients",
            "By the manifest's filters and views; see patient flow.",
            "Clinical criteria: " + UNKNOWN,
        ),
        Item("Demographics of patients", gap=UNKNOWN),
        Item("Equipment and acquisition", gap=UNKNOWN),
        Item(
            "Definition of the outcome",
            "The manifest's tasks: column, positive values, blank and uncertain policy.",
        ),
        Item("How and by whom labels were made", gap=UNKNOWN),
        Item(
            "Sample size and its justification",
            "Counts by class are shown, small cells hidden; no interval and no claim below 20 patients of the smaller class.",
        ),
        Item(
            "Missing data",
            "Unreadable films are quarantined with reasons and counted; unknown labels are left out of loss and metrics.",
        ),
        Item("Partition of data", f"By patient, never by film. {splits}"),
        Item(
            "Leakage",
            "Patients (inside a patient domain) and films (by content) of validation and test are checked against pretraining.",
        ),
        Item(
            "Model and pretraining",
            f"Pretraining {objectives}. Architectures, preprocessing and weights: provenance and the model folder.",
        ),
        Item(
            "Training, hyperparameters, selection",
            "Equal trials for each arm; selection on validation patients only.",
        ),
        Item(
            "Performance measures",
            "AUROC and AUPRC with intervals that respect patients, calibration, operating points; docs/statistics.md.",
        ),
        Item(
            "Uncertainty over training repetitions",
            "Draws of labels and final seeds are part of every interval.",
        ),
        Item(
            "Fairness, subgroups",
            "By the manifest's subgroup columns; small cells are suppressed.",
            "Choice of subgroups: " + UNKNOWN,
        ),
        Item("External validation", "Other hospitals' test patients where `alsoOn` names them."),
        Item(
            "Comparison with simple rules",
            "A logistic regression on metadata alone stands beside every result.",
        ),
        Item("How often test data were seen", f"Openings of test data: {openings or 'none'}"),
        Item(
            "Availability of code and models",
            "Identities, checksums and versions below; the deployable model with golden logits.",
        ),
        Item("Clinical use, harms, monitoring", gap=UNKNOWN),
        Item("Registration, protocol, ethics, funding", gap=UNKNOWN),
    )
