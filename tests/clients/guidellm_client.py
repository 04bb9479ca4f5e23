"""guidellm against our server: a short benchmark of streams, on both routes. Its figures are printed, not judged: that
every request is answered, with the tokens that were asked for, is.
"""

import argparse
import json
import os
import subprocess
import sys

from program import MODEL, ROOT
from serving import start_vortex
from wire import get

NAME = "recall"


def benchmark(server, route, options):
    path = ROOT / f"build/clients/guidellm-{route.rsplit('/', 1)[1]}.json"
    path.unlink(missing_ok=True)
    command = [os.path.join(os.path.dirname(sys.executable), "guidellm"), "run", "--disable-progress"]
    command += ["--backend", f"kind=openai_http,target={server.address},model={NAME},request_format={route}"]
    command += ["--profile", f"kind=concurrent,streams={options.streams}"]
    command += ["--constraint", f"kind=max_requests,count={options.requests}"]
    command += ["--tokenizer", "kind=huggingface_auto,model=" + MODEL]
    command += ["--data", f"kind=synthetic_text,prompt_tokens={options.prompt},output_tokens={options.output}"]
    command += ["--output", f"kind=json,path={path}"]
    offline = {"HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0 or not path.exists():
        sys.exit(f"guidellm failed:\n{done.stdout[-3000:]}\n{done.stderr[-4000:]}")
    return json.loads(path.read_text())["benchmarks"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--output", type=int, default=16)
    options = parser.parse_args()
    server = start_vortex("--served-model-name", NAME)
    try:
        for route in ("/v1/chat/completions", "/v1/completions"):
            report = benchmark(server, route, options)
            requests, metrics = report["requests"], report["metrics"]
            good = requests["successful"]
            tokens = {request["output_tokens"] for request in good}
            first = metrics["time_to_first_token_ms"]["successful"]["median"]
            print(
                f"guidellm: {route}: {len(good)} of {options.requests} answered, {len(requests['errored'])} failed, "
                f"{sorted(tokens)} tokens each, median time to first token {first:.0f} ms"
            )
            assert len(good) == options.requests and not requests["errored"]
            assert tokens == {options.output}
        assert server.ask(get("/health")).status == 200
    finally:
        server.stop()


if __name__ == "__main__":
    main()
