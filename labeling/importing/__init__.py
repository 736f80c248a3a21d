"""Import of prompts, completions and rankings into a project.

formats   what each known file format means, row by row: a list of Item
report    what an import met and did, in figures and in words
load      the import itself: look first, then write in batches that can be repeated
"""
