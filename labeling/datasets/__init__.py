"""Data sets: immutable, hashed folders of rows of one kind.

kinds     what a row of each kind must be
store     the folder: written aside, hashed, put in place
files     a file that a person brings, read as rows of a kind; preview
snapshot  the rankings of a project as rows
pairs     rankings as preference pairs, for tools that know no tie
"""
