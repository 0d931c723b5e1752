# syntax=docker/dockerfile:1

# PyTorch's index says which build goes in. For CUDA:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t sidelight .
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /sidelight
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH

# What changes rarely comes first: a change of Sidelight's own code installs nothing anew.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN pip install --index-url "${TORCH_INDEX}" \
      "$(sed -nE 's/^ *"(torch[^"]*)".*/\1/p' pyproject.toml)" \
    && mkdir app model sidelight && touch app/__init__.py \
    && pip install -c constraints.txt -e '.[shakespeare]'

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="Sidelight" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /sidelight sidelight
WORKDIR /sidelight
COPY --from=build /venv /venv
COPY . .
RUN mkdir -p data && chown -R sidelight:sidelight checkpoints data
# With this address it starts only if there is a key, or if everybody may come in: docs/access.md.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/sidelight/data/cache \
    SIDELIGHT_HOST=0.0.0.0 \
    SIDELIGHT_PORT=8000
USER 10001:10001
VOLUME ["/sidelight/checkpoints", "/sidelight/data"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['SIDELIGHT_PORT'] + '/healthz', timeout=4)"]
CMD ["sidelight", "serve"]
