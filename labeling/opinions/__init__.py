"""What a reward model says against people: the tasks of a project by how unlikely the model finds their ranking.

models     what was found, by project and version
asking     the work of the job: ask the model, compare, keep
"""
