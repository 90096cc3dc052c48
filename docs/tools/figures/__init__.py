"""Figures of the documentation, computed from the models: one module per figure, with `draw(folder)`.

`python -m docs.tools.figures` draws all into `docs/images/explained`; names as arguments draw only those.
"""
