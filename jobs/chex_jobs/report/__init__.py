"""What people read: the page, the table, the model cards. Everything here is a function of `evaluation.results.Results`.

Belongs here: wording, layout, tables. Does not: any number that is not already in the results.
"""
