"""From predictions to a recommendation that can be believed.

    results/        the values that are reported, as dataclasses and as JSON
    statistics/     measures and intervals over predictions; pure
    arms/           an arm's statistics, the choice by validation, the recommendation, subgroups, other hospitals
    baseline/       what metadata alone predicts
    test_access/    the only code that reads test films, and the ledger of openings
    reporting/      sentences, patient flow, small cells taken out
    evaluate        from predictions to results
    hospital_evaluation     one hospital from start to end; `unchosen` where validation could not choose
    adaptation_output       what an adaptation left

What does not belong here: training, choosing hyperparameters, drawing figures. torch is imported by `test_access.predictor`
alone, when it is called. The statistical contract, with formulas and sources, is docs/statistics.md.
"""
