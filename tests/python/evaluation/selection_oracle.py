"""Selection in numpy, written from what the flows' papers and docs/flow-language.md say."""

import numpy as np

RESERVED_BOS, RESERVED_EOS = 1, 2


def bf16(values):
    """Rounded to bfloat16: nearest, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def full_pages(array, page):
    """[heads, full pages, page, width] of what a bfloat16 cache holds."""
    heads, tokens, width = array.shape
    count = tokens // page
    return bf16(array[:, : count * page]).reshape(heads, count, page, width)


def block_sparse_scores(keys, queries, page):
    centroids = bf16(full_pages(keys, page).mean(axis=2))
    return bf16(np.einsum("hd,hpd->hp", queries.mean(axis=1), centroids))


def quest_scores(keys, queries, page):
    pages = full_pages(keys, page)
    high, low = pages.max(axis=2)[:, :, None], pages.min(axis=2)[:, :, None]
    bound = np.maximum(queries[:, None] * high, queries[:, None] * low).sum(axis=3)
    return bf16(bound.max(axis=2))


def chosen(scores, held, topk):
    """Pages a row reads: the reserved ones and the best `topk` between them, ties to the lower page."""
    middle = scores[RESERVED_BOS : held - RESERVED_EOS]
    best = np.argsort(-middle, kind="stable")[:topk] + RESERVED_BOS
    return sorted([*range(RESERVED_BOS), *best.tolist(), *range(held - RESERVED_EOS, held)])
