"""Forms of the labeling pages. They read the input and explain it; what is allowed is decided by the verbs.

projects   settings of a project, its people
filling    importing into a project, sampling outputs
datasets   uploading a data set, freezing a snapshot, exporting
"""
