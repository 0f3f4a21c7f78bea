"""From predictions to a recommendation that can be believed.

What belongs here: statistics over predictions (numpy and scipy only), the values they are reported in
(``results``), the ledger of test openings, and ``predict_test``, the only code that reads test films and the
only module here that imports torch (when called). What does not: training, choosing hyperparameters, drawing
figures. The statistical contract, with formulas and sources, is docs/statistics.md.
"""
