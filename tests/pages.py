"""Pages without what differs in each of them: a short word that a page must not say may stand in a random token by chance."""

import re

# 64 letters and digits as Django draws them; never a digest, which has no letter beyond f.
TOKEN = re.compile(r"\b(?=\w*[G-Zg-z])[0-9A-Za-z]{64}\b")


def without_tokens(page: str) -> str:
    return TOKEN.sub("", page)
