"""examples/ray in Ray Serve's local mode: the deployment runs in this process, without a cluster."""

import sys

import pytest
from program import BUILD, MODEL, ROOT, vortex_json

pytest.importorskip("ray.serve", reason="ray is not installed (490 MB; examples/ray/README.md says how)")


@pytest.fixture(scope="module")
def handle():
    sys.path[:0] = [str(ROOT), str(BUILD / "python")]
    from examples.ray.serve_app import build
    from ray import serve

    yield serve.run(build({"model": MODEL, "replicas": 2}), _local_testing_mode=True)
    serve.shutdown()


def test_a_replica_answers_as_vortex_run(handle):
    parameters = {"max_new_tokens": 8, "temperature": 0}
    answer = handle.generate.remote("The quick brown fox", parameters).result(timeout_s=60)
    run = ["run", MODEL, "The quick brown fox", "--raw", "--max-tokens", "8", "--temperature", "0"]
    assert answer["text"] == vortex_json(*run)["text"]
    pieces = handle.options(stream=True).stream.remote("The quick brown fox", parameters)
    assert "".join(pieces) == answer["text"]


def test_an_error_reaches_the_caller(handle):
    with pytest.raises(ValueError, match="did you mean 'max_new_tokens'"):
        handle.generate.remote("Hello", {"max_newtokens": 4}).result(timeout_s=60)


def test_keywords_reach_the_engine(handle):
    from examples.ray.serve_app import build

    with pytest.raises(Exception, match="max_num_sequences"):
        handle_of_bad = build({"model": MODEL, "max_num_sequences": 4})
        serve_locally(handle_of_bad).generate.remote("Hello").result(timeout_s=60)


def serve_locally(application):
    from ray import serve

    return serve.run(application, name="second", _local_testing_mode=True)
