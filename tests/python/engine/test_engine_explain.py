"""explain(): the pages of each step, layer and row, against the rule of selection applied to the scores."""

import numpy as np
import pytest

from vortex.errors import InvalidArgumentError

PARAMS = {"max_new_tokens": 7, "ignore_eos": True}
TOPK, BOS, EOS = 8, 1, 1


@pytest.fixture(scope="module")
def explained(sparse, document):
    return sparse.explain(document, PARAMS)


def best(scores, count):
    """The highest ones between the reserved pages, ties to the lower page."""
    middle = range(BOS, len(scores) - EOS)
    return sorted(sorted(middle, key=lambda page: (-scores[page], page))[:count])


def test_it_answers_as_ever(sparse, document, explained):
    plain = sparse.generate(document, PARAMS)
    assert explained.text == plain["text"]
    assert explained.output_ids.tolist() == plain["output_ids"] and explained.output_ids.dtype == np.int32
    report = plain["meta_info"]["vortex"]
    assert explained.page_counts.sum() == report["pages_read"]
    assert len(explained.steps) == report["steps_sparse"] == 6
    assert (explained.flow, explained.page_size) == (report["flow"], report["page_size"])
    assert explained.layers.tolist() == report["layers_sparse"] and explained.rows == 2


def test_pages_are_the_reserved_and_the_best(explained):
    for step, one in enumerate(explained.steps):
        assert one.sparse and one.page_count == -(-one.tokens // 16)
        assert one.pages.dtype == np.int32 and one.scores.dtype == np.float32
        assert one.pages.shape == (6, 2, TOPK + BOS + EOS) and one.scores.shape == (6, 2, one.page_count)
        for layer in explained.layers:
            for row in range(explained.rows):
                scores = explained.scores(step, layer, row)
                assert np.isnan(scores[-EOS:]).all() and np.isfinite(scores[:-EOS]).all()
                expected = [*range(BOS), *best(scores, TOPK), one.page_count - 1]
                assert explained.selected(step, layer, row).tolist() == expected


def test_it_counts_how_often_a_page_was_read(explained):
    counts = explained.page_counts
    assert counts.shape == (6, explained.steps[-1].page_count)
    assert (counts[:, 0] == 6 * 2).all()  # the first page, by each step and row
    held = sum(step.page_count for step in explained.steps)
    np.testing.assert_allclose(explained.coverage(), 6 * 10 / held)


def test_a_page_can_be_read(sparse, document, explained):
    assert explained.tokens_of_page(3) == (48, 64)
    assert sparse.decode(explained.ids_of_page(3)) == sparse.decode(sparse.encode(document)[48:64])
    last = explained.steps[-1].page_count - 1
    whole = [*explained.input_ids, *explained.output_ids]
    assert explained.ids_of_page(last).tolist() == whole[16 * last :]


def test_a_short_prompt_is_read_whole(sparse):
    short = sparse.explain("One day", {"max_new_tokens": 3, "ignore_eos": True})
    assert [step.sparse for step in short.steps] == [False, False]
    assert short.selected(1, 5, 1).tolist() == [0]
    assert np.isnan(short.scores(0, 0, 0)).all()
    assert short.coverage().tolist() == [1.0] * 6


def test_skipped_layers_have_no_rows(document):
    import vortex

    config = vortex.VortexConfig(module_name="gqa_quest_sparse_attention", topk_val=4, layers_skip=[0, 3])
    with vortex.Engine("recall-gqa", vortex=config, max_running_requests=1, context_length=2048) as engine:
        explained = engine.explain(document, {"max_new_tokens": 2})
    assert explained.layers.tolist() == [1, 2, 4, 5]
    assert explained.selected(0, 4, 0).size == 6
    with pytest.raises(IndexError, match="layer 3 does not select"):
        explained.selected(0, 3, 0)


def test_it_shows_itself_on_one_line(explained):
    text = repr(explained)
    assert "gqa_quest_sparse_attention" in text and "7 tokens in 6 steps" in text and "\n" not in text
    assert "array" not in repr(explained.steps[0])


def test_what_cannot_be_explained(dense, sparse):
    with pytest.raises(InvalidArgumentError, match="dense"):
        dense.explain("One day")
    with pytest.raises(InvalidArgumentError, match="one prompt"):
        sparse.explain(["a", "b"])
    with pytest.raises(InvalidArgumentError, match="answers"):
        sparse.explain("a", {"n": 2, "max_new_tokens": 2})
    with pytest.raises(IndexError, match="page -1"):
        sparse.explain("One day", {"max_new_tokens": 2}).tokens_of_page(-1)
