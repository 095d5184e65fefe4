"""Repositories: the files of a commit, read with the `git` program and nothing of theirs run."""
