"""Forms of the labeling pages. They read the input and explain it; what is allowed is decided by the verbs.

projects   settings of a project, copies, settings files
questions  the question editor
tasks      many tasks at once, known answers, the order of the queue
filling    importing into a project, sampling outputs
datasets   uploading a data set, freezing a snapshot, exporting
"""
