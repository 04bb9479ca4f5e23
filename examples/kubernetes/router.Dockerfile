# The router as an image: docker build -f examples/kubernetes/router.Dockerfile -t vllm-router:0.1.17 .
FROM python:3.11-slim
COPY tests/scale/requirements.txt /tmp/requirements.txt
RUN grep -v -i -e kubernetes -e yaml -e importlib /tmp/requirements.txt >/tmp/router.txt \
    && pip install --no-cache-dir --no-deps -r /tmp/router.txt
USER 5000:5000
ENTRYPOINT ["vllm-router"]
