"""What stages hand to each other: names of files, documents as models, finished parents, and the context of a stage.

A stage reads what another one left by these names and models alone. Summaries, which operator and people read too, are models of
`chex_api.summaries`.
"""
